using BenchmarkDotNet.Attributes;
using TorchAO.Formats;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>Quantizing one float32 weight; GB/s counts what is read.</summary>
public class QuantizeBenchmarks
{
    private WeightCase weight = null!;
    private Tensor original = null!;

    /// <summary>Gets or sets N and K.</summary>
    [Params("4096x4096")]
    public string Size { get; set; } = null!;

    /// <summary>Gets or sets the config as text: its stable name, and options.</summary>
    [Params(
        "int8_weight_only", "int4_weight_only(group_size=32)", "float8_weight_only", "uintx_weight_only(dtype=uint3)",
        "mx_weight_only(elem_dtype=fp4_e2m1)", "nf4_weight_only")]
    public string Config { get; set; } = null!;

    /// <summary>Makes the weight.</summary>
    [GlobalSetup]
    public void Setup()
    {
        weight = WeightCase.Parse(Size, Config);
        random.manual_seed(1);
        original = randn(weight.OutFeatures, weight.InFeatures);
    }

    /// <summary>Frees the weight.</summary>
    [GlobalCleanup]
    public void Cleanup() => original.Dispose();

    /// <summary>Chooses scales and codes, and packs them.</summary>
    [Benchmark]
    public void Quantize() => BuiltInFormats.Catalog.Handler(weight.Config).Quantize(original, weight.Config).Dispose();
}
