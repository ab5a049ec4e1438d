using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Kernels.Cpu.Emitted;
using TorchAO.Lifecycle;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cpu.FloatPanels;

/// <summary>Products of many rows by panels of values against float64 products of the same values.</summary>
public sealed class FloatPanelProductTests
{
    // What a format does in panels: zero points that are codes and values, groups that end in a piece, scales of two levels.
    public static TheoryData<string, long> Weights => new()
    {
        { "uintx_weight_only(dtype=uint1)", 512 },
        { "uintx_weight_only(dtype=uint3)", 768 },
        { "uintx_weight_only(dtype=uint5)", 11008 },
        { "uintx_weight_only(dtype=uint7,group_size=32)", 288 },
        { "uintx_weight_only(dtype=uint4,use_hqq=true)", 768 },
        { "intx_weight_only", 1376 - 96 },
        { "gemlite_uintx_weight_only(bit_width=8,group_size=null)", 1000 },
        { "nf4_weight_only", 768 },
        { "fpx_weight_only", 1000 },
        { "fpx_weight_only(ebits=2,mbits=2)", 288 },
        { "fpx_weight_only(ebits=2,mbits=1)", 520 },
        { "codebook_weight_only", 512 },
        { "mx_weight_only", 288 },
        { "mx_weight_only(elem_dtype=fp6_e2m3)", 768 },
        { "mx_weight_only(elem_dtype=fp4_e2m1)", 544 },
        { "float8_weight_only", 1000 },
        { "half_weight_only", 1000 },
        { "bitnet_weight_only", 512 },
    };

    [Theory]
    [MemberData(nameof(Weights))]
    public void Many_rows_give_what_float64_gives(string config, long k)
    {
        const int N = 45; // a panel and a part of one
        foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            using DisposeScope scope = NewDisposeScope();
            random.manual_seed(k);
            using LinearExecutor executor = Quantize(randn(N, k).to_type(type), config);
            Tensor values = executor.Weight.Dequantize(ScalarType.Float32).to(ScalarType.Float64);
            Tensor bias = randn(N);
            foreach (int m in new[] { 6, 13, 29 })
            {
                Tensor x = randn(m, k);
                Tensor expected = x.to(ScalarType.Float64).mm(values.t()) + bias.to(ScalarType.Float64);
                Tensor distance = (executor.Forward(x, bias).to(ScalarType.Float64) - expected).abs();

                // A float32 sum of k products; values that a bfloat16 weight stands for are rounded to it, those of panels are not.
                double unit = type == ScalarType.Float32 ? 1e-6 : 8e-3;
                Tensor bound = (x.abs().amax([1], keepdim: true) * values.abs().sum(1).unsqueeze(0) * unit) + 1e-5;
                Assert.True((distance <= bound).all().item<bool>(), $"{m} rows, {type}: {distance.max().item<double>()}");
            }
        }
    }

    [Fact]
    public void A_report_says_which_way_the_kernel_goes()
    {
        using Tensor weight = randn(32, 64);
        using LinearExecutor executor = Quantize(weight, "uintx_weight_only");

        Assert.StartsWith("uintx.cpu.linear row by row", executor.Explain(1, ScalarType.Float32).ToString(), StringComparison.Ordinal);
        Assert.SkipUnless(EmittedCode.IsAvailable, EmittedCode.Unavailable ?? string.Empty);
        Assert.StartsWith("uintx.cpu.linear in panels", executor.Explain(64, ScalarType.Float32).ToString(), StringComparison.Ordinal);
    }

    private static LinearExecutor Quantize(Tensor weight, string text)
    {
        QuantizeConfig config = ConfigText.Parse(BuiltInFormats.Catalog, text);
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        return BuiltInFormats.Catalog.Format(handler.FormatName).CreateExecutor(handler.Quantize(weight, config), activation: null);
    }
}
