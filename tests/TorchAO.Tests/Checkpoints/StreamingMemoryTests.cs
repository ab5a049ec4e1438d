using System.Globalization;
using TorchAO.Checkpoints.Safetensors;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Checkpoints;

/// <summary>A checkpoint that is quantized while it is read needs the memory of its result and of about one layer.</summary>
public sealed class StreamingMemoryTests
{
    private const string IndexVariable = "TORCHAO_TEST_INDEX";
    private const string ResultVariable = "TORCHAO_TEST_RESULT";
    private const string LayersVariable = "TORCHAO_TEST_LAYERS";
    private const string WidthVariable = "TORCHAO_TEST_WIDTH";
    private const string ConfigVariable = "TORCHAO_TEST_CONFIG";

    [Theory]
    [InlineData("int4wo-128")]
    [InlineData("int8wo")]
    public void The_peak_is_the_result_and_two_layers(string config)
    {
        // A larger one for measurements: 30 layers of 4096 are a gigabyte of bfloat16.
        int layers = int.Parse(Environment.GetEnvironmentVariable(LayersVariable) ?? "8", CultureInfo.InvariantCulture);
        long width = long.Parse(Environment.GetEnvironmentVariable(WidthVariable) ?? "3072", CultureInfo.InvariantCulture);
        using var folder = new TemporaryFolder();
        string index = ShardedCheckpoint.Write(folder.Path, layers, width, ScalarType.BFloat16, shards: 3);
        ChildProcess.Run(
            $"{typeof(StreamingMemoryTests).FullName}.{nameof(Child_quantizes_while_it_reads)}",
            new Dictionary<string, string>
            {
                [IndexVariable] = index,
                [ResultVariable] = folder.File("result"),
                [LayersVariable] = $"{layers}",
                [WidthVariable] = $"{width}",
                [ConfigVariable] = config,
            });
        long[] result = [.. File.ReadAllLines(folder.File("result")).Select(line => long.Parse(line, CultureInfo.InvariantCulture))];
        (long before, long peak, long quantized) = (result[0], result[1], result[2]);
        long layer = width * width * 2;

        string said = $"{layers} layers of {layer} bytes, {quantized} quantized: {before} bytes before, a peak of {peak}";
        TestContext.Current.TestOutputHelper?.WriteLine(said);

        // Beyond what the process had before: this test program alone, with libtorch, is about 200 MB.
        Assert.True(peak - before <= quantized + (2 * layer) + 30_000_000, said);
    }

    [Fact(Explicit = true)]
    public void Child_quantizes_while_it_reads()
    {
        int layers = int.Parse(ChildProcess.Told(LayersVariable), CultureInfo.InvariantCulture);
        long width = long.Parse(ChildProcess.Told(WidthVariable), CultureInfo.InvariantCulture);
        QuantizeConfig config = ConfigText.Parse(BuiltInFormats.Catalog, ChildProcess.Told(ConfigVariable));
        using (Linear small = nn.Linear(256, 256, dtype: ScalarType.BFloat16))
        {
            small.Quantize(config); // what the first use of libtorch takes for itself
        }

        using Sequential model = nn.Sequential(Enumerable.Range(0, layers).Select(
            layer => ($"{layer}", (nn.Module<Tensor, Tensor>)nn.Linear(width, width, false, META, ScalarType.BFloat16))));
        long before = Status("VmRSS");
        using var source = ShardedSafetensors.Open(ChildProcess.Told(IndexVariable));
        QuantizeReport report = model.QuantizeFrom(source, config);

        Assert.Equal(layers, report.Changed.Count());
        File.WriteAllText(ChildProcess.Told(ResultVariable), $"{before}\n{Status("VmHWM")}\n{report.BytesAfter}\n");
    }

    private static long Status(string key)
    {
        string line = File.ReadLines("/proc/self/status").First(line => line.StartsWith(key, StringComparison.Ordinal));
        return 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
