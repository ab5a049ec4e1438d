using TorchAO.Formats;
using TorchAO.Formats.BitNet;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.BitNet;

/// <summary>What is particular to ternary weights.</summary>
public sealed class BitNetTensorTests
{
    [Fact]
    public void The_first_code_of_four_has_the_highest_bits_and_minus_one_is_three()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = tensor(new float[] { 2, -2, 0, 2, -2 }).reshape(1, 5);

        using var quantized = (BitNetTensor)Quantize(weight);

        Assert.Equal([0b01110001, 0b11000000], quantized.QData.bytes.ToArray());
        Assert.Equal(1.6f, quantized.Scale.item<float>());
        ContractCases.AssertEqual((weight / 2 * 1.6f).to(ScalarType.Float32), quantized.Dequantize());
    }

    [Fact]
    public void A_weight_of_a_ternary_model_comes_back_but_for_the_sign_of_zero()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = randint(-1, 2, [64, 96], generator: new Generator(3, CPU));
        Tensor weight = codes.to(ScalarType.Float32) / codes.abs().to(ScalarType.Float32).mean();
        using QuantizedTensor quantized = Quantize(weight);

        // The mean magnitude is 1, so each value that is not zero rounds to a whole code.
        Tensor restored = quantized.Dequantize();

        ContractCases.AssertEqual(codes.sign().to(ScalarType.Float32), restored.sign());
    }

    [Fact]
    public void A_cut_within_a_byte_is_refused()
    {
        using QuantizedTensor quantized = Quantize(ContractCases.Weight(3, 33));

        var error = Assert.Throws<QuantizationException>(() => quantized.Narrow(1, 0, 6));
        using QuantizedTensor tail = quantized.Narrow(1, 28, 5);

        Assert.Contains("multiples of 4", error.Message, StringComparison.Ordinal);
        Assert.Equal([3, 5], tail.Shape);
    }

    [Fact]
    public void A_file_with_the_code_two_is_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        using QuantizedTensor quantized = Quantize(ContractCases.Weight(4, 256));
        StoredTensor stored = ContractCases.Store(quantized);
        stored.Components["qdata"][3, 5] = tensor((byte)0b01001011);

        var error = Assert.Throws<QuantizationException>(() => BuiltInFormats.Catalog.Format("bitnet").Read(stored));

        Assert.Contains("qdata of the bitnet tensor: got the code 2", error.Message, StringComparison.Ordinal);
    }

    private static QuantizedTensor Quantize(Tensor weight)
    {
        var config = new BitNetWeightOnlyConfig();
        return BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);
    }
}
