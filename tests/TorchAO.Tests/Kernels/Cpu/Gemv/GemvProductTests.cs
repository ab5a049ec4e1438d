using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Lifecycle;
using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cpu.Gemv;

/// <summary>Rows so long that their activations are taken in pieces, against float64 products of the same codes.</summary>
public sealed class GemvProductTests
{
    // Groups within a unit, of some blocks, of one scale a row; with a rest behind the last whole block, and without.
    [Theory]
    [InlineData("int8_weight_only", 4096)]
    [InlineData("int8_weight_only", 5003)]
    [InlineData("int8_weight_only(group_size=128)", 4224)]
    [InlineData("int4_weight_only(group_size=32)", 4128)]
    [InlineData("int4_weight_only(group_size=128)", 4096)]
    [InlineData("int4_weight_only(group_size=256,mapping_type=symmetric)", 4352)]
    [InlineData("int8_dynamic_activation_int8_weight", 20000)]
    [InlineData("int8_dynamic_activation_int4_weight", 20000)]
    [InlineData("int8_dynamic_activation_int4_weight(group_size=128)", 20096)]
    public void Pieces_add_up_to_the_product(string text, long k)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(k);
        QuantizeConfig config = ConfigText.Parse(BuiltInFormats.Catalog, text);
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        ActivationScheme? scheme = handler.Activation(config);
        using LinearExecutor executor = BuiltInFormats.Catalog.Format(handler.FormatName)
            .CreateExecutor(handler.Quantize(randn(13, k), config), activation: scheme);
        Tensor values = executor.Weight.Dequantize(ScalarType.Float32).to(ScalarType.Float64);
        foreach (int m in new[] { 1, 2, 3, 5, 8 })
        {
            Tensor x = randn(m, k);
            Tensor seen = (scheme?.Round(x) ?? x).to(ScalarType.Float64);
            Tensor distance = (executor.Forward(x, null).to(ScalarType.Float64) - seen.mm(values.t())).abs();
            Tensor bound = (seen.abs().amax([1], keepdim: true) * values.abs().sum(1).unsqueeze(0) * 1e-6) + 1e-5;
            Assert.True((distance <= bound).all().item<bool>(), $"{m} rows: {distance.max().item<double>()}");
        }
    }
}
