using TorchAO.Formats;
using TorchAO.Formats.Int4;
using TorchAO.Primitives;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.Int4;

public sealed class Int4TensorTests
{
    [Fact]
    public void A_value_is_the_code_less_eight_times_the_scale_plus_the_zero_point()
    {
        using DisposeScope scope = NewDisposeScope();
        using var weight = new Int4Tensor(
            [1, 4], ScalarType.Float32, tensor(new byte[] { 0x80, 0xF7 }).view(1, 2), tensor(new[] { 0.5f }).view(1, 1),
            tensor(new[] { 10f }).view(1, 1));

        Assert.Equal(new[] { 6f, 10f, 9.5f, 13.5f }, weight.Dequantize().data<float>().ToArray());
        Assert.Equal(new byte[] { 0, 8, 7, 15 }, weight.UnpackCodes().data<byte>().ToArray());
    }

    [Theory]
    [InlineData(MappingType.Symmetric, 7.5f)]
    [InlineData(MappingType.SymmetricNoClippingError, 7f)]
    public void A_symmetric_weight_has_zero_in_the_middle(MappingType mapping, float steps)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = tensor(new float[] { -3, 0, 2, 8 }).view(1, 4);
        var config = new Int4WeightOnlyConfig { GroupSize = null, MappingType = mapping };

        using var quantized = (Int4Tensor)BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);

        Assert.Null(quantized.ZeroPoint);
        Assert.Equal(8f / steps, quantized.Scale.item<float>());
        Assert.Equal(new byte[] { 5, 8, 10, 15 }, quantized.UnpackCodes().data<byte>().ToArray());
    }

    [Fact]
    public void An_integer_zero_point_is_the_code_that_stands_for_zero()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = tensor(new float[] { -3, 0, 6, 12 }).view(1, 4);
        var config = new Int4WeightOnlyConfig { GroupSize = null, ZeroPointDomain = ZeroPointDomain.Integer };

        using var quantized = (Int4Tensor)BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);

        Assert.Equal(ScalarType.Byte, quantized.ZeroPoint!.dtype);
        Assert.Equal(3, quantized.ZeroPoint.item<byte>());
        Assert.Equal("integer", (string)quantized.DescribeParameters()["zero_point_domain"]!);
        Assert.Equal(new byte[] { 0, 3, 9, 15 }, quantized.UnpackCodes().data<byte>().ToArray());
        Assert.Equal(new float[] { -3, 0, 6, 12 }, quantized.Dequantize().data<float>().ToArray());
    }

    [Fact]
    public void Options_that_contradict_each_other_are_refused()
    {
        Refuses(new() { UseHqq = true, MappingType = MappingType.Symmetric }, "UseHqq with MappingType Symmetric");
        Refuses(new() { UseHqq = true, ZeroPointDomain = ZeroPointDomain.Integer }, "ZeroPointDomain Integer, expected");
        Refuses(new() { ZeroPointDomain = ZeroPointDomain.None }, "ZeroPointDomain None with MappingType Asymmetric");
    }

    [Fact]
    public void A_cut_that_splits_a_byte_or_a_group_is_an_error_that_says_which()
    {
        using var grouped = (Int4Tensor)ContractCases.Quantize(new Int4WeightOnlyConfig { GroupSize = 32 }, 2, 128);
        using var whole = (Int4Tensor)ContractCases.Quantize(new Int4WeightOnlyConfig { GroupSize = null }, 2, 33);

        Says(() => grouped.Narrow(1, 16, 32), "16 to 47 split a group of 32");
        Says(() => grouped.Narrow(1, 32, 16), "32 to 47 split a group of 32");
        Says(() => whole.Narrow(1, 1, 4), "1 to 4 split a byte");
        Says(() => whole.Narrow(1, 0, 3), "0 to 2 split a byte");
        using var tail = whole.Narrow(1, 30, 3);
        Assert.Equal([2, 3], tail.Shape);
    }

    [Fact]
    public void The_tail_of_an_odd_row_keeps_its_values()
    {
        using DisposeScope scope = NewDisposeScope();
        using var weight = ContractCases.Quantize(new Int4WeightOnlyConfig { GroupSize = null }, 3, 33);
        using var tail = weight.Narrow(1, 20, 13);

        ContractCases.AssertEqual(weight.Dequantize().narrow(1, 20, 13), tail.Dequantize());
    }

    private static void Refuses(Int4WeightOnlyConfig config, string words) =>
        Says(() => ContractCases.Quantize(config, 2, 128).Dispose(), words);

    private static void Says(Action action, string words) =>
        Assert.Contains(words, Assert.Throws<QuantizationException>(action).Message, StringComparison.Ordinal);
}
