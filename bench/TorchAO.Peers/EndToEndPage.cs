using System.Globalization;
using System.Text;
using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Models.Llama;
using TorchAO.Peers.Ggml;
using TorchAO.Peers.Llama;
using TorchAO.Runtime.Cpu;
using static TorchSharp.torch;

namespace TorchAO.Peers;

/// <summary>Measures whole models of this library beside llama.cpp, in one process and in turns, and writes the page.</summary>
internal static class EndToEndPage
{
    private const int BandwidthPasses = 41;
    private const int Group = 32;
    private const long MostBytesOfFloatFile = 1L << 30;
    private static readonly TimeSpan SettleTime = TimeSpan.FromMilliseconds(30);

    // Below this distance to the float model's scores, something other than the model was computed.
    private static readonly Dictionary<int, double> LeastDecibels = new() { [32] = 40, [8] = 18, [4] = 2 };

    private static readonly (string Name, int Bits, QuantizeConfig Linear, QuantizeConfig Table)[] Configs =
    [
        ("int8", 8, new Int8WeightOnlyConfig(), new Int8WeightOnlyConfig()),
        ("W8A8", 8, new Int8DynamicActivationInt8WeightConfig(), new Int8WeightOnlyConfig()),
        ("int4 g32", 4, new Int4WeightOnlyConfig { GroupSize = Group }, new Int4WeightOnlyConfig { GroupSize = Group }),
        ("W4A8 g32", 4, new Int8DynamicActivationInt4WeightConfig(), new Int4WeightOnlyConfig { GroupSize = Group }),
    ];

    /// <summary>Measures and returns the page.</summary>
    public static string Measure(EndToEndOptions options, string command)
    {
        GgmlLibrary? library = GgmlLibrary.Find();
        (double best, double median) = ReadBandwidth();
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            # Whole models, side by side

            Tokens a second of Llama models: this library beside llama.cpp, in one process, in turns, with the same token ids. Decode is
            one step a token behind a prompt, scores fetched, none chosen; prefill reads the prompt into an empty cache. Embedding and head
            are quantized like the other matrices on both sides. Weights are the model's own where a path is named, random in the
            shape of a known model otherwise. dB is the distance of the scores to those of the float32 model.

            | | |
            | --- | --- |
            | processor | {CpuFeatures.Describe()} |
            | date | {DateTimeOffset.UtcNow:yyyy-MM-dd} |
            | commit | {SourceTree.Commit()} |
            | command | `{command}` |
            | read bandwidth | {best:0.0} GB/s, the best of {BandwidthPasses} passes (median {median:0.0}) |
            | threads | {ParallelRows.WorkerCount}, on both sides |
            | turns | {options.Rounds}, each of {options.NewTokens} tokens behind a prompt of {options.PromptTokens} |
            | llama.cpp | {(library is null ? $"**absent**: {GgmlLibrary.Remedy}" : $"{library.Kernels}, of the npm package node-llama-cpp")} |

            """);
        foreach (string name in options.Models)
        {
            AppendModel(text, options, library, name, best);
            Console.Error.WriteLine($"{name} measured");
        }

        return text.ToString();
    }

    private static (double Best, double Median) ReadBandwidth()
    {
        using var memory = new MemoryBandwidth();
        return memory.Measure(BandwidthPasses);
    }

    private static void AppendModel(StringBuilder text, EndToEndOptions options, GgmlLibrary? library, string name, double bandwidth)
    {
        var models = new List<ILanguageModel>();
        string folder = Directory.CreateTempSubdirectory("torchao-peers-").FullName;
        try
        {
            LlamaForCausalLM plain = EndToEndOptions.Create(name);

            // A short prompt, so that many steps fit into the context of a small model.
            LlamaConfig shape = plain.Config;
            int prompt = Math.Min(options.PromptTokens, shape.MaxPositions / 2);
            int count = Math.Min(options.NewTokens, shape.MaxPositions - prompt);
            models.Add(new OwnModel(OwnConfigs.Prefix + "float32", 32, plain, prompt, count));
            models.AddRange(Configs.Select(config => Quantized(plain, config, prompt, count)));
            if (library is not null)
            {
                models.AddRange(LlamaCpp(library, plain, folder, prompt, count));
            }

            double[] decibels = Verify(models);
            (double[][] decode, double[][] prefill) = Time(models, options.Rounds, prompt, count);
            Append(text, name, shape, models, decibels, decode, prefill, bandwidth);
        }
        finally
        {
            models.ForEach(model => model.Dispose());
            Directory.Delete(folder, recursive: true);
        }
    }

    private static IEnumerable<LlamaCppModel> LlamaCpp(GgmlLibrary library, LlamaForCausalLM plain, string folder, int prompt, int count)
    {
        LlamaConfig shape = plain.Config;
        foreach ((GgmlType type, int bits) in ((GgmlType, int)[])[(GgmlType.Q8_0, 8), (GgmlType.Q4_0, 4), (GgmlType.Q4_K, 4), (GgmlType.F32, 32)])
        {
            bool fits = type switch
            {
                GgmlType.F32 => plain.CountBytes() <= MostBytesOfFloatFile,
                GgmlType.Q4_K => shape.HiddenSize % 256 == 0 && shape.IntermediateSize % 256 == 0,
                _ => true,
            };
            if (fits)
            {
                string path = Path.Combine(folder, $"{type}.gguf");
                LlamaGguf.Write(plain, type, path);
                long table = shape.IsTied ? 0 : GgmlPeer.RowBytes(type, shape.HiddenSize) * shape.VocabSize;
                yield return new LlamaCppModel(library, $"llama.cpp {type}", bits, path, table, shape, prompt, count, ParallelRows.WorkerCount);
            }
        }
    }

    private static OwnModel Quantized(
        LlamaForCausalLM plain, (string Name, int Bits, QuantizeConfig Linear, QuantizeConfig Table) config, int prompt, int count)
    {
        var rules = new ModuleRules { [LlamaForCausalLM.EmbeddingName] = config.Table };
        if (plain.Config.IntermediateSize % Group != 0)
        {
            rules.Add("*down_proj", new Int8WeightOnlyConfig()); // no group divides its rows
        }

        rules.Add("*", config.Linear);
        var model = new LlamaForCausalLM(plain.Config, device: META);
        using var weights = new ModelWeights(plain);
        model.QuantizeFrom(weights, rules, new QuantizeOptions { Modules = ModuleKinds.Linear | ModuleKinds.Embedding });
        return new OwnModel(OwnConfigs.Prefix + config.Name, config.Bits, model, prompt, count);
    }

    // The first model is the float one.
    private static double[] Verify(List<ILanguageModel> models)
    {
        float[] expected = models[0].Scores();
        double signal = expected.Sum(value => (double)value * value);
        return [.. models.Select(model =>
        {
            model.Wake();
            float[] scores = model.Scores();
            model.Rest();
            double noise = scores.Zip(expected, (a, b) => ((double)a - b) * ((double)a - b)).Sum();
            double decibels = 10 * Math.Log10(signal / noise);
            return decibels >= LeastDecibels[model.Bits] ? decibels : throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture,
                $"{model.Name}: its scores are {decibels:0.0} dB from the float model's, expected {LeastDecibels[model.Bits]} at least; it computes something else."));
        })];
    }

    private static (double[][] Decode, double[][] Prefill) Time(List<ILanguageModel> models, int rounds, int prompt, int count)
    {
        double[][] decode = [.. models.Select(_ => new double[rounds])], prefill = [.. models.Select(_ => new double[rounds])];
        for (int round = -2; round < rounds; round++) // two turns warm up
        {
            for (int i = 0; i < models.Count; i++)
            {
                int at = round % 2 == 0 ? i : models.Count - 1 - i; // nobody always follows the same neighbour
                Thread.Sleep(SettleTime);
                models[at].Wake();
                double read = prompt / models[at].Prefill().TotalSeconds;
                double given = count / models[at].Decode().TotalSeconds;
                models[at].Rest();
                if (round >= 0)
                {
                    (prefill[at][round], decode[at][round]) = (read, given);
                }
            }
        }

        return (decode, prefill);
    }

    private static void Append(
        StringBuilder text, string name, LlamaConfig shape, List<ILanguageModel> models, double[] decibels, double[][] decode,
        double[][] prefill, double bandwidth)
    {
        text.Append(CultureInfo.InvariantCulture, $"\n## {name}\n\n");
        text.Append(
            CultureInfo.InvariantCulture,
            $"{shape.Layers} layers of {shape.HiddenSize} and {shape.IntermediateSize}, {shape.Heads} heads, {shape.VocabSize} ids.\n\n");
        text.Append("| model | bits | MB a token | dB | decode tok/s, median | best | GB/s | share of read | prefill tok/s, median | best |\n");
        text.Append("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
        foreach (int i in Enumerable.Range(0, models.Count).OrderByDescending(i => models[i].Bits).ThenByDescending(i => models[i].Name, StringComparer.Ordinal))
        {
            double rate = Median(decode[i]), bytes = models[i].BytesPerToken;
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {models[i].Name} | {models[i].Bits} | {bytes / 1e6:0.0} | {decibels[i]:0} | {rate:0.0} | {decode[i].Max():0.0} | " +
                $"{rate * bytes / 1e9:0.0} | {rate * bytes / 1e9 / bandwidth:0.00} | {Median(prefill[i]):0} | {prefill[i].Max():0} |\n");
        }

        AppendRatios(text, models, decode, prefill);
    }

    private static void AppendRatios(StringBuilder text, List<ILanguageModel> models, double[][] decode, double[][] prefill)
    {
        bool IsOurs(int i) => models[i].Name.StartsWith(OwnConfigs.Prefix, StringComparison.Ordinal);
        int[] all = [.. Enumerable.Range(0, models.Count)];
        text.Append("\nOurs over the fastest llama.cpp of the same bits (medians):\n\n| ours | decode | prefill |\n| --- | --- | --- |\n");
        foreach (int i in all.Where(IsOurs))
        {
            int[] theirs = [.. all.Where(j => !IsOurs(j) && models[j].Bits == models[i].Bits)];
            if (theirs.Length > 0)
            {
                double given = Median(decode[i]) / theirs.Max(j => Median(decode[j])), read = Median(prefill[i]) / theirs.Max(j => Median(prefill[j]));
                text.Append(CultureInfo.InvariantCulture, $"| {models[i].Name[OwnConfigs.Prefix.Length..]} | {given:0.00} | {read:0.00} |\n");
            }
        }
    }

    private static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);
}
