using System.CommandLine;
using System.Text.Json.Nodes;
using TorchAO.Algorithms.AutoQuant;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using TorchAO.Models.Llama;
using static TorchSharp.torch;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao autoquant</c>: the fastest format of each layer on this machine, as a recipe.</summary>
internal sealed class AutoQuantCommand
{
    private const int CommonStride = 7919; // a prime, so that ids come from all over the vocabulary

    private static readonly IReadOnlyDictionary<string, IReadOnlyList<QuantizeConfig>> Lists =
        new Dictionary<string, IReadOnlyList<QuantizeConfig>>
        {
            ["default"] = AutoQuantCandidates.Default,
            ["int4"] = AutoQuantCandidates.Int4,
            ["gemlite-int4"] = AutoQuantCandidates.GemliteInt4,
            ["float"] = AutoQuantCandidates.Float,
            ["float8"] = AutoQuantCandidates.Float8,
            ["weight-only"] = AutoQuantCandidates.WeightOnly,
            ["all"] = AutoQuantCandidates.All,
        };

    private readonly ModelArguments model = new();

    private readonly Option<string[]> candidates = new("--candidates", "-c")
    {
        Description = $"What may be chosen: {string.Join(", ", Lists.Keys)}, or configs such as int4wo-32. May be given again.",
        HelpName = "list or config",
        DefaultValueFactory = _ => ["default"],
    };

    private readonly Option<int> prompt = Count("--prompt-tokens", "The length of a prompt, which is one call of each layer.", 128);

    private readonly Option<int> generated = Count("--max-tokens", "How many tokens follow a prompt, each of which is a call of each layer.", 128);

    private readonly Option<double?> minimumSqnr = new("--min-sqnr")
    {
        Description = "The least signal-to-noise ratio of a layer's output in dB; no floor if absent.",
        HelpName = "dB",
    };

    private readonly Option<double> within = new("--within")
    {
        Description = "The share by which a choice may be slower than the fastest and win by its size; 1 admits twice the time.",
        HelpName = "share",
        DefaultValueFactory = _ => new AutoQuantOptions().TieMargin,
    };

    private readonly Option<string?> cache = new("--cache")
    {
        Description = "A text file that keeps measurements from one run to the next.",
        HelpName = "file",
    };

    private readonly Option<string?> output = new("--output", "-o")
    {
        Description = "The recipe to write, for quantize --recipe.",
        HelpName = "file",
    };

    private readonly Terminal terminal;

    private AutoQuantCommand(Terminal terminal) => this.terminal = terminal;

    public static Command Create(Terminal terminal)
    {
        var auto = new AutoQuantCommand(terminal);
        var command = new Command("autoquant", "Measure which format is fastest for each layer on this machine, and write it as a recipe.");
        auto.model.AddTo(command);
        command.Add(auto.candidates);
        command.Add(auto.prompt);
        command.Add(auto.generated);
        command.Add(auto.minimumSqnr);
        command.Add(auto.within);
        command.Add(auto.cache);
        command.Add(auto.output);
        command.SetAction((parsed, cancellation) => Task.Run(() => auto.Run(parsed, cancellation), CancellationToken.None));
        return command;
    }

    private static Option<int> Count(string name, string description, int usual)
    {
        var option = new Option<int>(name) { Description = description, HelpName = "count", DefaultValueFactory = _ => usual };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 0)
            {
                result.AddError($"{name} {result.GetValueOrDefault<int>()}, expected 0 or more.");
            }
        });
        return option;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        (int prompted, int steps) = (parsed.GetValue(prompt), parsed.GetValue(generated));
        if (prompted + steps == 0)
        {
            throw new QuantizationException("--prompt-tokens 0 and --max-tokens 0: expected at least one token; leave one of them at its default.");
        }

        var options = new AutoQuantOptions
        {
            Candidates = Candidates(parsed),
            MinimumSqnr = parsed.GetValue(minimumSqnr),
            TieMargin = parsed.GetValue(within),
            CachePath = parsed.GetValue(cache),
            CancellationToken = cancellation,
        };
        string? recipe = parsed.GetValue(output);
        RequirePlace(recipe);
        using LlamaForCausalLM loaded = model.Load(parsed);
        AutoQuantReport report = loaded.AutoQuantize(() => Use(loaded, prompted, steps), options);
        if (report.Quantization is null)
        {
            recipe = null; // one that quantizes nothing would be an error to apply
        }
        else if (recipe is not null)
        {
            File.WriteAllText(recipe, new QuantizeRecipe(report.Rules).ToJson() + Environment.NewLine);
        }

        if (terminal.IsJson)
        {
            JsonObject json = JsonNode.Parse(report.ToJson())!.AsObject();
            json["output"] = recipe;
            terminal.WriteJson(json);
        }
        else
        {
            terminal.Out.WriteLine(report);
            if (report.Quantization is null)
            {
                terminal.Out.WriteLine(
                    "every layer is fastest as it is, so there is no recipe; --within 1 admits formats that take up to twice the time and are smaller");
            }
            else if (recipe is not null)
            {
                terminal.Out.WriteLine($"quantize by it: torchao quantize --recipe {recipe} --output smaller");
            }
        }

        return ExitCode.Success;
    }

    // Before the measurements, which take a while.
    private static void RequirePlace(string? recipe)
    {
        if (recipe is not null && (Directory.Exists(recipe) || !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(recipe)))))
        {
            throw new IOException($"--output {recipe}: expected the path of a file in a folder that is there; correct the path.");
        }
    }

    // Linear layers see the same rows with a cache and without, so a step is a call with one token.
    private static void Use(LlamaForCausalLM loaded, int prompted, int steps)
    {
        if (prompted > 0)
        {
            Call(loaded, Math.Min(prompted, loaded.Config.MaxPositions));
        }

        for (int step = 0; step < steps; step++)
        {
            Call(loaded, 1);
        }
    }

    private static void Call(LlamaForCausalLM loaded, int tokens)
    {
        long[] ids = [.. Enumerable.Range(1, tokens).Select(i => (long)i * CommonStride % loaded.Config.VocabSize)];
        using Tensor input = tensor(ids, [1, tokens], device: loaded.Device);
        loaded.call(input).Dispose();
    }

    private List<QuantizeConfig> Candidates(ParseResult parsed)
    {
        var all = new List<QuantizeConfig>();
        foreach (string text in parsed.GetRequiredValue(candidates))
        {
            all.AddRange(Lists.TryGetValue(text, out IReadOnlyList<QuantizeConfig>? list)
                ? list
                : [ConfigText.Parse(BuiltInFormats.Catalog, text)]);
        }

        return [.. all.Distinct()];
    }
}
