using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectre.Console;
using TorchAO.KvCache;
using TorchAO.Lifecycle;
using TorchAO.Models.Evaluation;
using TorchAO.Models.Llama;
using TorchAO.Models.Text;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao eval</c>: perplexity, accuracy, and the distance to the float model.</summary>
internal sealed class EvalCommand
{
    private readonly ModelArguments model = new();
    private readonly QuantizeArguments quantize = new();

    private readonly Option<string?> text = new("--text", "-t")
    {
        Description = "A UTF-8 text; documents in it are separated by <|endoftext|>. The shipped stories if absent.",
        HelpName = "file",
    };

    private readonly Option<int> documents = new("--documents", "-n")
    {
        Description = "How many documents to score, each from its beginning; 0 for all.",
        DefaultValueFactory = _ => 100,
        HelpName = "count",
    };

    private readonly Option<int?> stride = new("--stride", "-s")
    {
        Description = "Slide a window over the whole text instead, so many tokens at a time; the rest of the window is context.",
        HelpName = "tokens",
    };

    private readonly Option<int?> window = new("--window", "-w")
    {
        Description = "The longest stretch that the model reads at once; its longest sequence if absent.",
        HelpName = "tokens",
    };

    private readonly Option<KeyValueFormat?> cache = new("--kv-cache")
    {
        Description = "Read token by token through a cache of this format, as generate does; at once if absent.",
        HelpName = "float|int8|int4|float8",
    };

    private readonly Option<bool> all = new("--all", "-a")
    {
        Description = "Score a quantized copy for every config there is, and what the same codes give in floating point.",
    };

    private readonly Terminal terminal;

    private EvalCommand(Terminal terminal) => this.terminal = terminal;

    public static Command Create(Terminal terminal)
    {
        var eval = new EvalCommand(terminal);
        var command = new Command("eval", "Score a model on a text; with --quantize, also how far it moved from the float model.");
        eval.model.AddTo(command);
        eval.quantize.AddTo(command);
        command.Add(eval.text);
        command.Add(eval.documents);
        command.Add(eval.stride);
        command.Add(eval.window);
        command.Add(eval.cache);
        command.Add(eval.all);
        command.SetAction((parsed, cancellation) => Task.Run(() => eval.Run(parsed, cancellation), CancellationToken.None));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        QuantizeRecipe? recipe = quantize.Recipe(parsed);
        if (parsed.GetValue(all) && recipe is not null)
        {
            throw new QuantizationException("--all with --quantize, --rule, --embedding or --recipe: expected one or the other.");
        }

        using LlamaForCausalLM reference = model.Load(parsed);
        Tokenizer tokenizer = model.OpenTokenizer(parsed, reference);
        TokenWindow[] windows = [.. Windows(parsed, tokenizer, reference.Config.MaxPositions)];
        KeyValueFormat? format = parsed.GetValue(cache);
        LanguageModelScore score = Score("scoring", reference, null, windows, format, cancellation);
        if (parsed.GetValue(all))
        {
            new EvalSweep(model, terminal, (title, scored, exact, over, stop) => Score(title, scored, exact, over, format, stop)).Run(parsed, reference, score, windows, cancellation);
            return ExitCode.Success;
        }

        LanguageModelScore? quantized = null;
        QuantizeReport? report = null;
        if (recipe is not null)
        {
            using LoadedModel loaded = model.Load(parsed, recipe, terminal, cancellation);
            report = loaded.Report;
            quantized = Score("scoring quantized", loaded.Model, reference, windows, format, cancellation);
        }

        Write(parsed, score, quantized, report);
        return ExitCode.Success;
    }

    private IEnumerable<TokenWindow> Windows(ParseResult parsed, Tokenizer tokenizer, int longest)
    {
        string path = parsed.GetValue(text) ?? ShippedFiles.Stories;
        string corpus = File.Exists(path) ? File.ReadAllText(path) : throw new FileNotFoundException(
            $"--text {path}: no such file, expected a UTF-8 text; correct the path, or leave the option out for the shipped stories.");
        int length = Math.Min(parsed.GetValue(window) ?? longest, longest);
        if (parsed.GetValue(stride) is int step)
        {
            return TokenWindow.Slide(tokenizer.Encode(corpus), length, step);
        }

        int count = parsed.GetValue(documents);
        IEnumerable<string> all = TextDocuments.Split(corpus);
        return TokenWindow.OfDocuments((count > 0 ? all.Take(count) : all).Select(story => tokenizer.Encode(story)), length);
    }

    private LanguageModelScore Score(
        string title, LlamaForCausalLM scored, LlamaForCausalLM? reference, TokenWindow[] windows, KeyValueFormat? format,
        CancellationToken cancellation)
    {
        if (!terminal.IsLive)
        {
            return LanguageModelEvaluation.Score(scored, windows, reference, null, format, cancellation);
        }

        return terminal.Bar().Start(context =>
        {
            ProgressTask task = context.AddTask(title, maxValue: windows.Sum(w => w.Scored));
            return LanguageModelEvaluation.Score(scored, windows, reference, new Relay<LanguageModelScore>(soFar =>
            {
                task.Description = string.Create(CultureInfo.InvariantCulture, $"{title} (perplexity {soFar.Perplexity:F4})");
                task.Value = soFar.Tokens;
            }), format, cancellation);
        });
    }

    private void Write(ParseResult parsed, LanguageModelScore score, LanguageModelScore? quantized, QuantizeReport? report)
    {
        if (terminal.IsJson)
        {
            var json = new JsonObject { ["model"] = model.Path(parsed), ["score"] = Json(score) };
            if (quantized is not null)
            {
                json["quantized"] = Json(quantized);
                json["report"] = JsonNode.Parse(report!.ToJson());
            }

            terminal.WriteJson(json);
            return;
        }

        Table table = new Table().Border(TableBorder.Simple).AddColumn(string.Empty)
            .AddColumn(new TableColumn("model").RightAligned());
        if (quantized is not null)
        {
            table.AddColumn(new TableColumn("quantized").RightAligned());
        }

        Row(table, "predictions", score, quantized, s => s.Tokens.ToString(CultureInfo.InvariantCulture));
        Row(table, "negative log-likelihood, nats", score, quantized, s => Number(s.NegativeLogLikelihood, "F5"));
        Row(table, "perplexity", score, quantized, s => Number(s.Perplexity, "F4"));
        Row(table, "next-token accuracy", score, quantized, s => Number(100 * s.Accuracy, "F2") + " %");
        if (quantized?.Divergence is ReferenceDivergence divergence)
        {
            table.AddRow("mean KL to the float model, nats", string.Empty, Number(divergence.Mean, "F5"));
            table.AddRow("largest KL", string.Empty, Number(divergence.Largest, "F3"));
            table.AddRow("same likeliest token", string.Empty, Number(100 * divergence.Agreement, "F2") + " %");
            table.AddRow("linear weights", Sizes.Bytes(report!.BytesBefore), Sizes.Bytes(report.BytesAfter));
        }

        terminal.Screen.Write(table);
    }

    private static void Row(
        Table table, string name, LanguageModelScore score, LanguageModelScore? quantized, Func<LanguageModelScore, string> cell) =>
        table.AddRow(quantized is null ? [name, cell(score)] : [name, cell(score), cell(quantized)]);

    internal static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    internal static JsonObject Json(LanguageModelScore score)
    {
        var json = new JsonObject
        {
            ["tokens"] = score.Tokens,
            ["negative_log_likelihood"] = score.NegativeLogLikelihood,
            ["perplexity"] = score.Perplexity,
            ["accuracy"] = score.Accuracy,
        };
        if (score.Divergence is ReferenceDivergence divergence)
        {
            json["kl_divergence"] = new JsonObject
            {
                ["mean"] = divergence.Mean,
                ["largest"] = divergence.Largest,
                ["agreement"] = divergence.Agreement,
            };
        }

        return json;
    }
}
