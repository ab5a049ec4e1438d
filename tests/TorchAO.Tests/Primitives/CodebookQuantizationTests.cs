using TorchAO.Formats.Codebook;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchAO.Tests.Golden;
using TorchAO.Tests.Golden.Handlers;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

public sealed class CodebookQuantizationTests(ITestOutputHelper output)
{
    [Fact]
    public void Eight_bits_a_number_are_better_than_thirty_decibels() // torchao's own bar
    {
        var config = new CodebookWeightOnlyConfig { DType = QuantizedType.UInt8, ScaleBlockSize = 64 };
        Assert.InRange(WeightDecibels(config, 100, 256), 30, 60);
    }

    // The best table of 16 entries for a normal distribution has 20.22 dB (Max 1960, table I).
    [Fact]
    public void A_big_weight_of_four_bits_is_near_the_optimum()
    {
        Assert.InRange(WeightDecibels(new CodebookWeightOnlyConfig(), 1024, 1024), 19.5, 20.4);
    }

    [Fact]
    public void A_weight_without_positive_numbers_is_as_accurate_as_its_negative()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = rand([16, 128], generator: new Generator(7, CPU)) + 0.1;
        var config = new CodebookWeightOnlyConfig { ScaleBlockSize = 64 };
        using QuantizedTensor positive = WeightOnly.Quantize(config, weight);
        using QuantizedTensor negative = WeightOnly.Quantize(config, weight.neg());

        Assert.True(allclose(positive.Dequantize(), negative.Dequantize().neg(), 1e-5, 1e-6));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(256)]
    public void The_entry_of_a_number_is_the_nearest_of_all(long entries)
    {
        using DisposeScope scope = NewDisposeScope();
        var generator = new Generator(9, CPU);
        Tensor numbers = randn([3000, 1], generator: generator);
        Tensor table = randn([entries, 1], generator: generator); // in no order

        Tensor codes = CodebookQuantization.Nearest(numbers, table);
        Tensor distance = (numbers - table.index_select(0, codes.to_type(ScalarType.Int64))).abs().flatten();

        Assert.True(allclose(distance, (numbers - table.t()).abs().amin([1]), 0, 1e-6));
    }

    [Fact]
    public void Blocks_of_two_rows_come_back_from_a_table_that_holds_them()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = randn([6, 8], generator: new Generator(8, CPU));
        Tensor scale = CodebookQuantization.ChooseScale(weight, isScalar: false, 4);

        Tensor vectors = CodebookQuantization.Vectors(weight, scale, 2, 4);
        Tensor codes = CodebookQuantization.Nearest(vectors, vectors).reshape(3, 2);
        Tensor back = CodebookQuantization.Dequantize(codes, vectors, scale, rows: 2);

        Assert.Equal([6, 8], vectors.shape);
        Assert.True(allclose(weight, back, 1e-6, 1e-6));
    }

    [Fact]
    public void What_does_not_fit_is_an_error_that_says_why()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = ones(4, 8);
        Tensor scale = ones(4, 2);
        Tensor codes = zeros([4, 8], ScalarType.Byte);

        AssertRefuses("input is [32]", () => CodebookQuantization.ChooseScale(weight.flatten(), true, 4));
        AssertRefuses("scale blocks of 3 do not divide 8", () => CodebookQuantization.ChooseScale(weight, true, 3));
        AssertRefuses("scale blocks of 0", () => CodebookQuantization.ChooseScale(weight, true, 0));
        AssertRefuses("blocks of 3 do not divide 4 rows", () => CodebookQuantization.Vectors(weight, scale, 3, 1));
        AssertRefuses("scale is [4, 3]", () => CodebookQuantization.Vectors(weight, ones(4, 3), 1, 1));
        AssertRefuses("entries [16, 2]", () => CodebookQuantization.Nearest(ones(5, 3), ones(16, 2)));
        AssertRefuses("entries [0, 3]", () => CodebookQuantization.Nearest(ones(5, 3), ones(0, 3)));
        AssertRefuses("rows of a block of 2 do not divide 1", () => CodebookQuantization.Dequantize(codes, ones(16, 1), scale, rows: 2));
        AssertRefuses("scale is [2, 2]", () => CodebookQuantization.Dequantize(codes, ones(16, 1), ones(2, 2)));
    }

    private static void AssertRefuses(string part, Func<Tensor> call) =>
        Assert.Contains(part, Assert.Throws<QuantizationException>(call).Message, StringComparison.Ordinal);

    private double WeightDecibels(CodebookWeightOnlyConfig config, long n, long k)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = randn([n, k], generator: new Generator(1, CPU)) / 32;
        using QuantizedTensor quantized = WeightOnly.Quantize(config, weight);
        double decibels = Accuracy.Decibels(weight, quantized.Dequantize());
        output.WriteLine($"{config.DType.Name} [{n}, {k}]: {decibels:f2} dB");
        return decibels;
    }
}
