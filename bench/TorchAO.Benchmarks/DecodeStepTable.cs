using System.Diagnostics;
using System.Globalization;
using System.Text;
using TorchAO.Formats;
using TorchAO.KvCache;
using TorchAO.Lifecycle;
using TorchAO.Models.Generation;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using TorchAO.Models.Text;
using TorchAO.Runtime.Cpu;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>
/// Where the time of a decode step goes: in linear layers, which read the weights, or in the rest; as fused kernels and module by
/// module. The shape is that of Llama 3.2 1B with a vocabulary of 32,768 and a head of its own; weights are random.
/// </summary>
/// <remarks>Both paths take turns, one step each behind the same history. The time of linear layers is taken around each of them.</remarks>
internal sealed class DecodeStepTable : IDisposable
{
    private const int Turns = 25;
    private const int NewTokens = 200;

    private static readonly LlamaConfig Whole = new()
    {
        VocabSize = 32_768,
        HiddenSize = 2048,
        IntermediateSize = 8192,
        Layers = 16,
        Heads = 32,
        KeyValueHeads = 8,
        HeadSize = 64,
        MaxPositions = 2048,
    };

    private readonly LlamaForCausalLM model;
    private readonly string weights;
    private long linearBegan;
    private long linearTicks;

    private DecodeStepTable(string weights, int layers)
    {
        this.weights = weights;
        random.manual_seed(1);
        model = new LlamaForCausalLM(Whole with { Layers = layers });
        model.eval();
        model.Quantize(ConfigText.Parse(BuiltInFormats.Catalog, weights));
        foreach ((string name, nn.Module module) in model.named_modules())
        {
            if (module is nn.Module<Tensor, Tensor> layer && (name.EndsWith("_proj", StringComparison.Ordinal) || name == "lm_head"))
            {
                layer.register_forward_pre_hook((_, input) =>
                {
                    linearBegan = Stopwatch.GetTimestamp();
                    return input;
                });
                layer.register_forward_hook((_, _, output) =>
                {
                    linearTicks += Stopwatch.GetTimestamp() - linearBegan;
                    return output;
                });
            }
        }
    }

    /// <summary>Measures and returns the page: <c>decode-step FILE LAYERS HISTORY,HISTORY WEIGHTS…</c>.</summary>
    /// <param name="command">The command, for the page.</param>
    /// <param name="configs">Configs of the weights, such as <c>int4wo-32</c>.</param>
    /// <param name="layers">How many layers; 16 in the model whose shape it is.</param>
    /// <param name="histories">Tokens in the cache.</param>
    public static string Measure(string command, IReadOnlyList<string> configs, int layers, IReadOnlyList<int> histories)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            # A decode step on the CPU

            One token behind a history, {layers} layers, hidden {Whole.HiddenSize}, intermediate {Whole.IntermediateSize}, {Whole.Heads} heads,
            {Whole.KeyValueHeads} key heads, vocabulary {Whole.VocabSize}, random weights, activations in float32. "Linear" is the share of the step
            in linear layers, which read the weights. The quickest of {Turns} steps; both paths take turns.

            | | |
            | --- | --- |
            | processor | {CpuFeatures.Describe()} |
            | date | {DateTimeOffset.UtcNow:yyyy-MM-dd} |
            | command | `{command}` |

            | weights | MB | cache | history | fused ms | linear | rest ms | modules ms | linear | rest ms | rest, × |
            | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |

            """);
        using (inference_mode())
        {
            foreach (string config in configs)
            {
                using var table = new DecodeStepTable(config, layers);
                foreach (int history in histories)
                {
                    table.Rows(text, history);
                }
            }
        }

        text.Append(CultureInfo.InvariantCulture, $"""

            ## Story models

            {NewTokens} tokens of a greedy story, tokens a second of decode; the better of three turns of each.

            | model | weights | cache | fused | modules | × |
            | --- | --- | --- | --- | --- | --- |

            """);
        Stories(text);
        return text.ToString();
    }

    public void Dispose() => model.Dispose();

    private void Rows(StringBuilder text, int history)
    {
        foreach (KeyValueFormat format in Enum.GetValues<KeyValueFormat>())
        {
            using DisposeScope scope = NewDisposeScope();
            using var cache = new KeyValueCache(model.Config, capacity: history + 1, format: format);
            if (history > 0)
            {
                // A history that costs nothing: by a narrow model whose keys and values have the same shape.
                using var narrow = new LlamaForCausalLM(model.Config with { HiddenSize = 64, IntermediateSize = 64, VocabSize = 64 });
                narrow.Step(randint(64, [1, history], dtype: ScalarType.Int64), cache, lastOnly: true);
            }

            Tensor token = tensor([7L], [1, 1]);
            (double Whole, double Linear) fused = (double.MaxValue, 0), modules = (double.MaxValue, 0);
            for (int turn = 0; turn < Turns; turn++)
            {
                fused = Quicker(fused, Step(cache, token, isFused: true));
                modules = Quicker(modules, Step(cache, token, isFused: false));
            }

            (double rest, double restByModules) = (fused.Whole - fused.Linear, modules.Whole - modules.Linear);
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {weights} | {model.CountDecodeBytes() / 1e6:0} | {format} | {history} | {fused.Whole:0.00} | {fused.Linear / fused.Whole:0.0%} | " +
                $"{rest:0.00} | {modules.Whole:0.00} | {modules.Linear / modules.Whole:0.0%} | {restByModules:0.00} | {restByModules / rest:0.0} |\n");
        }

        static (double Whole, double Linear) Quicker((double Whole, double Linear) a, (double Whole, double Linear) b) =>
            a.Whole <= b.Whole ? a : b;
    }

    // Milliseconds of a step, and of the linear layers in it.
    private (double Whole, double Linear) Step(KeyValueCache cache, Tensor token, bool isFused)
    {
        int history = cache.Length;
        model.UsesFusedDecode = isFused;
        linearTicks = 0;
        long begin = Stopwatch.GetTimestamp();
        model.Step(token, cache).Dispose();
        double whole = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
        if (cache.LastStep!.IsFused != isFused)
        {
            throw new InvalidOperationException($"asked for {(isFused ? "fused kernels" : "modules")}, got {cache.LastStep}.");
        }

        cache.Truncate(history);
        return (whole, linearTicks * 1000.0 / Stopwatch.Frequency);
    }

    private static void Stories(StringBuilder text)
    {
        foreach (string name in new[] { "stories260k", "babyllama105" })
        {
            string folder = Path.Combine("assets", name);
            Tokenizer tokenizer = Tokenizer.Open(folder);
            foreach (string config in new[] { "float32", "int8wo" })
            {
                using LlamaForCausalLM model = LlamaLoader.Load(folder);
                if (config != "float32")
                {
                    model.Quantize(ConfigText.Parse(BuiltInFormats.Catalog, config));
                }

                foreach (KeyValueFormat format in Enum.GetValues<KeyValueFormat>())
                {
                    (double fused, double modules) = (0, 0);
                    for (int turn = 0; turn < 3; turn++)
                    {
                        fused = Math.Max(fused, TokensPerSecond(model, tokenizer, format, isFused: true));
                        modules = Math.Max(modules, TokensPerSecond(model, tokenizer, format, isFused: false));
                    }

                    text.Append(
                        CultureInfo.InvariantCulture,
                        $"| {name} | {config} | {format} | {fused:0} | {modules:0} | {fused / modules:0.0} |\n");
                }
            }
        }
    }

    private static double TokensPerSecond(LlamaForCausalLM model, Tokenizer tokenizer, KeyValueFormat format, bool isFused)
    {
        model.UsesFusedDecode = isFused;
        using var generator = new TextGenerator(model, tokenizer, cacheFormat: format);
        generator.Complete("Once upon a time", new GenerationOptions { MaxNewTokens = NewTokens });
        return generator.Statistics.TokensPerSecond;
    }
}
