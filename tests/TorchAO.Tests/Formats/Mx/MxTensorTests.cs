using TorchAO.Formats;
using TorchAO.Formats.Mx;
using TorchAO.Numerics;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.Mx;

/// <summary>What is particular to MX weights.</summary>
public sealed class MxTensorTests
{
    [Fact]
    public void Six_bits_take_three_bytes_for_four_codes_the_first_highest()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = tensor(new byte[] { 0b100001, 0b010010, 0b001100, 0b111011 }).reshape(1, 4);

        Tensor packed = BitStreamRows.Pack(codes, 6);

        Assert.Equal([0b10000101, 0b00100011, 0b00111011], packed.bytes.ToArray());
        Assert.Equal(codes.bytes.ToArray(), BitStreamRows.Unpack(packed, 6, 4).bytes.ToArray());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void Every_width_and_length_comes_back(int bits)
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (long k in new long[] { 1, 3, 4, 7, 8, 9, 33 })
        {
            Tensor codes = randint(0, 1 << bits, [3, k], dtype: ScalarType.Byte);

            Tensor packed = BitStreamRows.Pack(codes, bits);

            Assert.Equal([3, ((k * bits) + 7) / 8], packed.shape);
            Assert.True(codes.bytes.SequenceEqual(BitStreamRows.Unpack(packed, bits, k).bytes), $"{bits} bits, K {k}");
        }
    }

    [Fact]
    public void Rounding_up_cuts_nothing_and_the_specifications_rule_may()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = full([1, 32], 7.9f);

        using QuantizedTensor floor = Quantize(weight, MxElementType.Float4E2M1, ScaleRounding.Floor);
        using QuantizedTensor up = Quantize(weight, MxElementType.Float4E2M1, ScaleRounding.RoundUp);

        Assert.Equal(6f, floor.Dequantize()[0, 0].item<float>());
        Assert.Equal(8f, up.Dequantize()[0, 0].item<float>());
    }

    [Theory]
    [InlineData("qdata", 0x7F, MxElementType.Float8E4M3)]
    [InlineData("qdata", 0xFC, MxElementType.Float8E5M2)]
    [InlineData("scale", 0xFF, MxElementType.Float4E2M1)]
    public void A_file_with_a_code_that_is_no_number_is_refused(string component, byte code, MxElementType type)
    {
        using DisposeScope scope = NewDisposeScope();
        using QuantizedTensor tensor = Quantize(ContractCases.Weight(4, 256), type, ScaleRounding.Floor);
        StoredTensor stored = ContractCases.Store(tensor);
        stored.Components[component][2, 1] = torch.tensor(code);

        var error = Assert.Throws<QuantizationException>(() => BuiltInFormats.Catalog.Format("mx").Read(stored));

        Assert.Contains($"{component} of the mx tensor", error.Message, StringComparison.Ordinal);
        Assert.Contains("expected", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_kernel_refuses_blocks_that_its_steps_do_not_divide()
    {
        var problem = new TorchAO.Kernels.LinearProblem(DeviceType.CPU, ScalarType.Float32, 1, 8, 64, 16);

        Assert.StartsWith(
            "reference (mx.cpu.linear: block size 16 is not a multiple of 32;",
            BuiltInFormats.Catalog.Format("mx").Explain(problem).ToString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_cut_within_a_byte_is_refused()
    {
        using QuantizedTensor tensor = Quantize(ContractCases.Weight(4, 33), MxElementType.Float4E2M1, ScaleRounding.Floor, 33);

        var error = Assert.Throws<QuantizationException>(() => tensor.Narrow(1, 1, 2));

        Assert.Contains("multiples of 2", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_block_size_or_an_option_without_meaning_is_an_error_of_the_config()
    {
        using Tensor weight = ContractCases.Weight(4, 256);

        Assert.Throws<QuantizationException>(() => Quantize(weight, MxElementType.Float4E2M1, ScaleRounding.Floor, 0));
        Assert.Throws<QuantizationException>(() => Quantize(weight, (MxElementType)99, ScaleRounding.Floor));
        Assert.Throws<QuantizationException>(() => Quantize(weight, MxElementType.Float4E2M1, (ScaleRounding)99));
    }

    private static QuantizedTensor Quantize(Tensor weight, MxElementType type, ScaleRounding scaling, long blockSize = 32)
    {
        var config = new MxWeightOnlyConfig { ElementType = type, ScalingMode = scaling, BlockSize = blockSize };
        return BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);
    }
}
