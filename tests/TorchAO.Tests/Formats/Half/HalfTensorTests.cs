using TorchAO.Formats;
using TorchAO.Formats.Half;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.Half;

/// <summary>What is particular to weights in 16-bit floating point.</summary>
public sealed class HalfTensorTests
{
    [Theory]
    [InlineData(ScalarType.BFloat16, 50)]
    [InlineData(ScalarType.Float16, 70)]
    public void A_weight_is_the_cast_of_libtorch(ScalarType type, double decibels)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = ContractCases.Weight(16, 256);
        using QuantizedTensor quantized = Quantize(weight, type);

        Tensor values = quantized.Dequantize();

        ContractCases.AssertEqual(weight.to(type).to(ScalarType.Float32), values);
        Assert.InRange(20 * Math.Log10((weight.norm() / (weight - values).norm()).item<float>()), decibels, 100);
    }

    [Fact]
    public void A_weight_of_the_same_type_keeps_its_bits()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = ContractCases.Weight(16, 256, ScalarType.BFloat16);
        using QuantizedTensor quantized = Quantize(weight, ScalarType.BFloat16);

        ContractCases.AssertEqual(weight, quantized.Dequantize());
    }

    [Fact]
    public void What_lies_beyond_the_range_becomes_the_largest_value()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = tensor(new[] { 1e6f, -1e6f, 65519, float.MaxValue, -float.MaxValue }).reshape(1, 5);
        using QuantizedTensor narrow = Quantize(weight, ScalarType.Float16), wide = Quantize(weight, ScalarType.BFloat16);

        Assert.Equal([65504, -65504, 65504, 65504, -65504], narrow.Dequantize().data<float>().ToArray());
        Assert.True(wide.Dequantize().isfinite().all().item<bool>());
    }

    [Fact]
    public void A_file_that_contradicts_itself_is_refused()
    {
        using QuantizedTensor quantized = Quantize(ContractCases.Weight(2, 8), ScalarType.Float16);
        StoredTensor stored = ContractCases.Store(quantized);
        stored.Parameters["dtype"] = "bfloat16";

        var error = Assert.Throws<QuantizationException>(() => BuiltInFormats.Catalog.Format("half").Read(stored));

        Assert.Contains("dtype of the half tensor: got bfloat16", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Another_type_is_refused()
    {
        var error = Assert.Throws<QuantizationException>(() => Quantize(ContractCases.Weight(2, 8), ScalarType.Float64));

        Assert.Contains("DType is Float64, expected BFloat16 or Float16", error.Message, StringComparison.Ordinal);
    }

    private static QuantizedTensor Quantize(Tensor weight, ScalarType type)
    {
        var config = new HalfWeightOnlyConfig { DType = type };
        return BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);
    }
}
