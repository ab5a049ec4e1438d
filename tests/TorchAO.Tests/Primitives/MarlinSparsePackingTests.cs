using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

/// <summary>The order in which Marlin's sparse kernel reads a weight with two of four codes.</summary>
public sealed class MarlinSparsePackingTests
{
    [Theory]
    [InlineData(64, 128, 1)]
    [InlineData(128, 256, 2)]
    [InlineData(192, 384, 12)]
    public void Codes_and_scales_come_back(long n, long k, long groups)
    {
        using DisposeScope scope = NewDisposeScope();
        using Generator generator = new((ulong)(n + k), CPU);
        Tensor codes = Sparse(n, k, generator);
        Tensor scale = rand([n, groups], generator: generator).to(ScalarType.Float16);

        using MarlinSparseWeight packed = MarlinSparsePacking.Pack(codes, scale);
        (Tensor back, Tensor scaleBack) = MarlinSparsePacking.Unpack(packed);

        Assert.Equal([k / 32, 2 * n], packed.Codes.shape);
        Assert.Equal([k / 32, 2 * n], packed.Metadata.shape);
        Assert.True(back.equal(codes).all().item<bool>());
        Assert.True(scaleBack.equal(scale).all().item<bool>());
    }

    [Theory]
    [InlineData(0b0011, 0b0100)]
    [InlineData(0b0101, 0b1000)]
    [InlineData(0b0110, 0b1001)]
    [InlineData(0b1001, 0b1100)]
    [InlineData(0b1010, 0b1101)]
    [InlineData(0b1100, 0b1110)]
    [InlineData(0b0000, 0b1110)]
    [InlineData(0b0001, 0b1000)]
    [InlineData(0b0010, 0b1001)]
    public void The_places_of_two_codes_take_four_bits(int present, int places)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = full(64, 128, 8, dtype: ScalarType.Byte);
        for (int i = 0; i < 4; i++)
        {
            codes[0, i] = tensor((byte)((present >> i) % 2 == 0 ? 8 : 3 + i));
        }

        using MarlinSparseWeight packed = MarlinSparsePacking.Pack(codes, ones(64, 1));

        Assert.Equal(places, packed.Metadata[0, 0].item<short>() & 15);
        (Tensor back, _) = MarlinSparsePacking.Unpack(packed);
        Assert.True(back.equal(codes).all().item<bool>());
    }

    [Fact]
    public void A_third_code_of_four_is_an_error_that_says_where()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = full(64, 128, 8, dtype: ScalarType.Byte);
        codes.narrow(0, 5, 1).narrow(1, 12, 3).fill_(1);

        Says(codes, ones(64, 1), "1 of 2048 fours of codes have more than two that are not zero, the first in row 5 at input feature 12");
    }

    [Fact]
    public void Shapes_that_the_kernel_does_not_take_are_refused_by_name()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = full(64, 128, 8, dtype: ScalarType.Byte);

        Says(codes.narrow(0, 0, 32), ones(32, 1), "a weight [32, 128], expected N a multiple of 64 and K of 128");
        Says(codes.narrow(1, 0, 64), ones(64, 1), "a weight [64, 64]");
        Says(codes.to(ScalarType.Int32), ones(64, 1), "codes are Int32 [64, 128], expected a matrix of uint8");
        Says(codes, ones(64, 8), "scales have shape [64, 8], expected 64 rows");
        Says(codes, ones(64), "scales have shape [64]");
        using MarlinSparseWeight packed = MarlinSparsePacking.Pack(codes, ones(64, 1));
        MarlinSparseWeight wrong = packed with { Metadata = packed.Metadata.to(ScalarType.Int32) };
        Assert.Contains(
            "metadata Int32 [4, 128], expected Int32 and Int16",
            Assert.Throws<QuantizationException>(() => MarlinSparsePacking.Unpack(wrong)).Message,
            StringComparison.Ordinal);
    }

    // Two places of four at random, a code at each, 8 among them.
    private static Tensor Sparse(long n, long k, Generator generator)
    {
        Tensor values = randint(0, 16, [n, k], dtype: ScalarType.Byte, generator: generator).reshape(-1, 4);
        Tensor kept = rand([n * k / 4, 4], generator: generator).topk(2, dim: 1).indexes;
        Tensor mask = zeros_like(values).scatter(1, kept, ones_like(values));
        return ((values * mask) + ((1 - mask) * 8)).reshape(n, k);
    }

    private static void Says(Tensor codes, Tensor scale, string words) => Assert.Contains(
        words,
        Assert.Throws<QuantizationException>(() => MarlinSparsePacking.Pack(codes, scale).Dispose()).Message,
        StringComparison.Ordinal);
}
