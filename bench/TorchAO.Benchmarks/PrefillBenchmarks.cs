using BenchmarkDotNet.Attributes;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>Many rows times a weight, as in reading a prompt.</summary>
public class PrefillBenchmarks : IDisposable
{
    private RotatingWeights weights = null!;
    private Tensor input = null!;

    /// <summary>Gets or sets N and K.</summary>
    [Params("4096x4096")]
    public string Size { get; set; } = null!;

    /// <summary>Gets or sets M, the count of activation rows.</summary>
    [Params(32, 128, 512)]
    public int Rows { get; set; }

    /// <summary>Gets or sets the config as text: its stable name, and options.</summary>
    [Params(
        "half_weight_only", "int8_weight_only", "int8_dynamic_activation_int8_weight", "int4_weight_only(group_size=32)",
        "int8_dynamic_activation_int4_weight(group_size=32)")]
    public string Config { get; set; } = null!;

    /// <summary>Makes the operands.</summary>
    [GlobalSetup]
    public void Setup()
    {
        var weight = WeightCase.Parse(Size, Config);
        weights = new RotatingWeights(weight);
        input = randn(Rows, weight.InFeatures);
    }

    /// <summary>Frees the operands.</summary>
    [GlobalCleanup]
    public void Dispose()
    {
        weights.Dispose();
        input.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>libtorch's float32 product.</summary>
    [Benchmark(Baseline = true)]
    public void Float32() => weights.MultiplyFloat(input);

    /// <summary>The quantized product.</summary>
    [Benchmark]
    public void Quantized() => weights.MultiplyQuantized(input);
}
