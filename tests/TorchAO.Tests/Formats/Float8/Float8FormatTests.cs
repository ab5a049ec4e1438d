using TorchAO.Formats;
using TorchAO.Formats.Float8;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.Float8;

public sealed class Float8FormatTests
{
    [Theory]
    [InlineData(ScalarTypes.Float8E4M3, 448f)]
    [InlineData(ScalarTypes.Float8E5M2, 57344f)]
    public void The_largest_magnitude_of_a_row_takes_the_types_largest_value(ScalarType type, float largest)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = tensor(new float[] { 1, -2, 3, 4 }).view(2, 2);
        var config = new Float8WeightOnlyConfig { WeightDType = type };

        using QuantizedTensor quantized = BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);

        Assert.Equal(type, quantized.Components[0].Value.dtype);
        Assert.Equal(new[] { 2 / largest, 4 / largest }, quantized.Components[1].Value.data<float>().ToArray());
        Assert.Equal(4f, quantized.Dequantize().max().item<float>(), 1e-6f);
    }

    [Fact]
    public void One_scale_for_the_whole_weight_comes_from_its_largest_magnitude()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = tensor(new float[] { 1, -2, 3, 448 }).view(2, 2);
        var config = new Float8WeightOnlyConfig { Granularity = Float8Granularity.PerTensor };

        using QuantizedTensor quantized = BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);

        Assert.Equal([1, 1], quantized.Components[1].Value.shape);
        Assert.Equal(new float[] { 1, -2, 3, 448 }, quantized.Dequantize().data<float>().ToArray());
    }

    [Fact]
    public void Codes_of_another_type_are_refused_whatever_the_weight()
    {
        var config = new Float8WeightOnlyConfig { WeightDType = ScalarType.Float16 };
        var facts = new WeightFacts(2, 2, ScalarType.Float32, DeviceType.CPU);

        var error = Assert.Throws<QuantizationException>(
            () => BuiltInFormats.Catalog.Handler(config).ReasonToSkip(facts, config));

        Assert.Contains("F16, expected F8_E4M3 or F8_E5M2", error.Message, StringComparison.Ordinal);
    }
}
