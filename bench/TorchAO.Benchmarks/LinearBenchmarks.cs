using BenchmarkDotNet.Attributes;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Lifecycle;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>One linear product, float32 against each config, for a few rows of activations.</summary>
public class LinearBenchmarks
{
    private Tensor weight = null!;
    private Tensor input = null!;
    private LinearExecutor executor = null!;

    /// <summary>Gets or sets the weight's size: out of every cache, or in the last level.</summary>
    [Params("4096x4096", "1024x1024")]
    public string Size { get; set; } = null!;

    /// <summary>Gets or sets M, the count of activation rows.</summary>
    [Params(1, 8, 128)]
    public int Rows { get; set; }

    /// <summary>Gets or sets the config as text: its stable name, and options.</summary>
    [Params("int8_weight_only", "int4_weight_only", "uintx_weight_only", "uintx_weight_only(dtype=uint3)")]
    public string Config { get; set; } = null!;

    /// <summary>Makes the operands.</summary>
    [GlobalSetup]
    public void Setup()
    {
        long[] size = [.. Size.Split('x').Select(long.Parse)];
        random.manual_seed(1);
        weight = randn(size[0], size[1]);
        input = randn(Rows, size[1]);
        QuantizeConfig config = ConfigText.Parse(BuiltInFormats.Catalog, Config);
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        QuantizedTensor quantized = handler.Quantize(weight, config);
        executor = BuiltInFormats.Catalog.Format(handler.FormatName).CreateExecutor(quantized);
    }

    /// <summary>Frees the operands.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        executor.Dispose();
        input.Dispose();
        weight.Dispose();
    }

    /// <summary>libtorch's float32 product.</summary>
    [Benchmark(Baseline = true)]
    public void Float32() => nn.functional.linear(input, weight).Dispose();

    /// <summary>The quantized product.</summary>
    [Benchmark]
    public void Quantized() => executor.Forward(input, null).Dispose();
}
