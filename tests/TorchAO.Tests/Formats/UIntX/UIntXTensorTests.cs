using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.UIntX;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.UIntX;

public sealed class UIntXTensorTests
{
    [Fact]
    public void A_zero_point_is_a_code_a_value_or_the_middle_code()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = arange(0, 8, dtype: ScalarType.Byte).view(1, 8);
        Tensor scale = tensor(new[] { 0.5f }).view(1, 1);
        using var byCode = new UIntXTensor(
            [1, 8], ScalarType.Float32, 3, ShardPacking.Pack(codes, 3), scale.clone(), tensor(new byte[] { 1 }).view(1, 1));
        using var byValue = new UIntXTensor(
            [1, 8], ScalarType.Float32, 3, ShardPacking.Pack(codes, 3), scale.clone(), tensor(new[] { 10f }).view(1, 1));
        using var without = new UIntXTensor([1, 8], ScalarType.Float32, 3, ShardPacking.Pack(codes, 3), scale.clone(), null);

        Assert.Equal([-0.5f, 0, 0.5f, 1, 1.5f, 2, 2.5f, 3], byCode.Dequantize().data<float>().ToArray());
        Assert.Equal([8, 8.5f, 9, 9.5f, 10, 10.5f, 11, 11.5f], byValue.Dequantize().data<float>().ToArray());
        Assert.Equal([-2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f], without.Dequantize().data<float>().ToArray());
        Assert.Equal(["integer", "float", "none"], new[] { byCode, byValue, without }.Select(
            weight => (string)weight.DescribeParameters()["zero_point_domain"]!));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    public void The_size_is_that_of_torchaos_tensor(int bits)
    {
        var config = new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(bits) };

        using QuantizedTensor weight = ContractCases.Quantize(config, 16, 256, ScalarType.BFloat16);

        // bits, a bfloat16 scale and an int32 zero point for 64 weights
        Assert.Equal(16 * 256 * ((bits / 8.0) + (2 / 64.0) + (4 / 64.0)), weight.Bytes);
    }

    [Fact]
    public void A_row_with_one_scale_may_be_cut_anywhere()
    {
        using DisposeScope scope = NewDisposeScope();
        using QuantizedTensor weight = ContractCases.Quantize(
            new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(5), GroupSize = null }, 3, 61);

        using QuantizedTensor cut = weight.Narrow(1, 7, 13);

        ContractCases.AssertEqual(weight.Dequantize().narrow(1, 7, 13), cut.Dequantize());
    }

    [Fact]
    public void A_cut_through_a_group_is_an_error()
    {
        using QuantizedTensor weight = ContractCases.Quantize(new UIntXWeightOnlyConfig(), 3, 128);

        var error = Assert.Throws<QuantizationException>(() => weight.Narrow(1, 32, 64));

        Assert.Contains("32 to 95 split a group of 64", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(9)]
    public void Stored_bits_outside_of_a_byte_are_refused(int bits)
    {
        using QuantizedTensor weight = ContractCases.Quantize(new UIntXWeightOnlyConfig(), 3, 128);
        StoredTensor stored = ContractCases.Store(weight);
        stored.Parameters["bits"] = bits;

        var error = Assert.Throws<QuantizationException>(() => UIntXTensor.Read(stored));

        Assert.Contains($"bits of the uintx tensor: got {bits}, expected 1 to 8", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stored_kind_of_zero_point_that_is_not_known_is_refused()
    {
        using QuantizedTensor weight = ContractCases.Quantize(new UIntXWeightOnlyConfig(), 3, 128);
        StoredTensor stored = ContractCases.Store(weight);
        stored.Parameters["zero_point_domain"] = "complex";

        var error = Assert.Throws<QuantizationException>(() => UIntXTensor.Read(stored));

        Assert.Contains("got complex, expected none, float or integer", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float32)]
    public void Half_quadratic_weights_lie_closer_than_those_of_the_range(ScalarType dtype)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = ContractCases.Weight(32, 256, dtype);
        double plain = Error(new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(3) }, weight);
        double halfQuadratic = Error(new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(3), UseHqq = true }, weight);

        Assert.InRange(halfQuadratic, 0, plain);
    }

    private static double Error(QuantizeConfig config, Tensor weight)
    {
        using QuantizedTensor quantized = BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);
        return (quantized.Dequantize() - weight).abs().mean().to(ScalarType.Float32).item<float>();
    }
}
