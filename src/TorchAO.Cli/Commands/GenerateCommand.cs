using System.CommandLine;
using System.Text.Json.Nodes;
using Spectre.Console;
using TorchAO.Models.Generation;
using TorchAO.Models.Text;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao generate</c>: continue a text, live, and say what it took.</summary>
internal sealed class GenerateCommand
{
    private readonly Argument<string> prompt = new("prompt")
    {
        Description = "The text to continue.",
        DefaultValueFactory = _ => "Once upon a time",
    };

    private readonly GenerationRequest request = new();
    private readonly Terminal terminal;

    private GenerateCommand(Terminal terminal) => this.terminal = terminal;

    public static Command Create(Terminal terminal)
    {
        var generate = new GenerateCommand(terminal);
        Command command = generate.request.CreateCommand(
            "generate", "Continue a text, live; with --quantize, after quantizing the model.", generate.Run);
        command.Add(generate.prompt);
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        (LoadedModel loaded, Tokenizer tokenizer, GenerationOptions options) = request.Open(parsed, terminal, cancellation);
        using LoadedModel owned = loaded;
        string text = parsed.GetRequiredValue(prompt);
        int needed = tokenizer.Encode(text).Count + options.MaxNewTokens;
        using var generator = new TextGenerator(
            loaded.Model, tokenizer, Math.Min(needed, loaded.Model.Config.MaxPositions),
            request.CacheFormat(parsed));
        if (!terminal.IsJson)
        {
            WriteHead(parsed, loaded);
            terminal.Screen.Markup($"[grey]{Markup.Escape(text)}[/]");
        }

        FinishReason reason = TokenStream.Write(terminal, generator.Generate(text, options, cancellation));
        WriteEnd(loaded, generator.Statistics, reason);
        return ExitCode.Success;
    }

    private void WriteHead(ParseResult parsed, LoadedModel loaded)
    {
        string size = loaded.Report is null
            ? Sizes.Bytes(loaded.Bytes)
            : $"{Sizes.Bytes(loaded.BytesBefore)} -> [bold]{Sizes.Bytes(loaded.Bytes)}[/], {loaded.Report.Quantized.Count()} of " +
              $"{loaded.Report.Layers.Count} linear layers quantized";
        terminal.Screen.MarkupLine($"[grey]model {Markup.Escape(request.ModelName(parsed))}:[/] {size}");
        terminal.Screen.WriteLine();
    }

    private void WriteEnd(LoadedModel loaded, GenerationStatistics took, FinishReason reason)
    {
        long peak = Memory.PeakBytes;
        if (terminal.IsJson)
        {
            JsonObject facts = TokenStream.Json(took, reason);
            facts["model_bytes_before"] = loaded.BytesBefore;
            facts["model_bytes"] = loaded.Bytes;
            facts["peak_memory_bytes"] = peak;
            terminal.WriteJson(facts, isLine: true);
            return;
        }

        terminal.Screen.WriteLine();
        TokenStream.WriteStatistics(terminal.Screen, took);
        terminal.Screen.MarkupLine(
            $"[grey]model {Sizes.Bytes(loaded.BytesBefore)} -> {Sizes.Bytes(loaded.Bytes)}, peak memory {Sizes.Bytes(peak)}[/]");
        if (loaded.Report is not null)
        {
            SmallModel.WriteNote(terminal, loaded.BytesBefore);
        }
    }
}
