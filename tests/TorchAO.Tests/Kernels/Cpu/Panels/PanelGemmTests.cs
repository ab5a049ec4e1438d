using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cpu.Panels;

/// <summary>Products by panels against float64 products of the same codes.</summary>
public sealed class PanelGemmTests
{
    public static TheoryData<string, int, int, int> Shapes()
    {
        var data = new TheoryData<string, int, int, int>();
        foreach (string weight in new[] { "int8", "int8 group", "int4", "int4 symmetric", "int4 row" })
        {
            foreach ((int m, int n, int k) in new[] { (9, 1, 32), (10, 31, 64), (13, 33, 96), (16, 64, 1056), (29, 100, 544), (65, 7, 2080) })
            {
                data.Add(weight, m, n, k);
            }
        }

        // One scale a row: every remainder of a quad, a step, a vector and a block.
        foreach (int k in new[] { 1, 2, 3, 5, 7, 8, 9, 63, 65, 71, 127, 130, 509, 513, 520, 1025, 1031 })
        {
            data.Add("int8", 9, 35, k);
            data.Add("int4 row", 9, 35, k);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Floating_point_activations_give_what_float64_gives(string weight, int m, int n, int k)
    {
        using DisposeScope scope = NewDisposeScope();
        (LinearExecutor executor, Tensor x, Tensor bias) = Make(weight, m, n, k, activation: null);
        using (executor)
        {
            Tensor values = executor.Weight.Dequantize(ScalarType.Float32).to(ScalarType.Float64);
            Tensor expected = x.to(ScalarType.Float64).mm(values.t()) + bias.to(ScalarType.Float64);
            Tensor actual = executor.Forward(x, bias);

            Assert.EndsWith(".gemm", executor.Explain(m, ScalarType.Float32).Kernel, StringComparison.Ordinal);
            Tensor bound = (x.abs().amax([1], keepdim: true) * values.abs().sum(1).unsqueeze(0) * 1e-6) + (expected.abs() * 1e-6) + 1e-6;
            Assert.True(((actual.to(ScalarType.Float64) - expected).abs() <= bound).all().item<bool>());
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Rounded_activations_give_what_float64_gives(string weight, int m, int n, int k)
    {
        foreach (ActivationScheme scheme in new[] { ActivationScheme.Int8PerToken, ActivationScheme.Int8PerTokenAsymmetric, ActivationScheme.Int4PerToken })
        {
            using DisposeScope scope = NewDisposeScope();
            (LinearExecutor executor, Tensor x, Tensor bias) = Make(weight, m, n, k, scheme);
            using (executor)
            {
                Tensor values = executor.Weight.Dequantize(ScalarType.Float32).to(ScalarType.Float64);
                Tensor rounded = scheme.Round(x).to(ScalarType.Float64);
                Tensor expected = rounded.mm(values.t()) + bias.to(ScalarType.Float64);
                Tensor actual = executor.Forward(x, bias);

                Assert.EndsWith(".gemm_int8", executor.Explain(m, ScalarType.Float32).Kernel, StringComparison.Ordinal);
                Tensor bound = (rounded.abs().amax([1], keepdim: true) * values.abs().sum(1).unsqueeze(0) * 1e-6) + 1e-5;
                Assert.True(((actual.to(ScalarType.Float64) - expected).abs() <= bound).all().item<bool>());
            }
        }
    }

    [Fact]
    public void An_infinite_activation_gives_what_floating_point_gives()
    {
        using DisposeScope scope = NewDisposeScope();
        (LinearExecutor executor, Tensor x, Tensor bias) = Make("int8", 12, 40, 64, activation: null);
        using (executor)
        {
            x[3, 5] = float.PositiveInfinity;
            x[4, 6] = float.NaN;
            Tensor y = executor.Forward(x, bias);

            Assert.True(y[3].isinf().any().item<bool>());
            Assert.False(y[3].isnan().all().item<bool>());
            Assert.True(y[4].isnan().all().item<bool>());
            Assert.True(cat([y[..3], y[5..]]).isfinite().all().item<bool>());
        }
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void Narrow_activations_give_the_nearest_narrow_result(ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        (LinearExecutor executor, Tensor x, Tensor bias) = Make("int4", 20, 40, 128, activation: null);
        using (executor)
        {
            Tensor narrow = x.to(type);
            Tensor wide = executor.Forward(narrow.to(ScalarType.Float32), bias);

            Assert.True(executor.Forward(narrow, bias).Equals(wide.to(type)));
        }
    }

    private static (LinearExecutor Executor, Tensor X, Tensor Bias) Make(string weight, int m, int n, int k, ActivationScheme? activation)
    {
        random.manual_seed((m * 1000) + n + k);
        QuantizeConfig config = weight switch
        {
            "int8" => new Int8WeightOnlyConfig(),
            "int8 group" => new Int8WeightOnlyConfig { GroupSize = 32 },
            "int4" => new Int4WeightOnlyConfig { GroupSize = 32 },
            "int4 symmetric" => new Int4WeightOnlyConfig { GroupSize = 32, MappingType = MappingType.Symmetric },
            _ => new Int4WeightOnlyConfig { GroupSize = k },
        };
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        QuantizedTensor quantized = handler.Quantize(randn(n, k), config);
        LinearExecutor executor = BuiltInFormats.Catalog.Format(handler.FormatName).CreateExecutor(
            quantized, $"{handler.FormatName}.cpu.gemm{(activation is null ? string.Empty : "_int8")}", activation);
        return (executor, randn(m, k) * rand(m, 1), randn(n));
    }
}
