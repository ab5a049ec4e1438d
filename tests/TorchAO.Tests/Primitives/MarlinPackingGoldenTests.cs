using System.Security.Cryptography;
using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

/// <summary>Marlin's packings of wider weights against digests of what torchao 0.9 makes of the same numbers.</summary>
public sealed class MarlinPackingGoldenTests
{
    [Theory]
    [InlineData(true, "c7804a098aa00c6e")]
    [InlineData(false, "bfe7fa9680d0b27f")]
    public void A_qqq_weight_has_torchaos_words(bool isGrouped, string digest)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = Codes(256, 128);
        Tensor groupScale = isGrouped ? ones(128, 2, ScalarType.Float16) : empty(0, ScalarType.Float16);

        using MarlinQqqWeight packed = MarlinQqqPacking.Pack(isGrouped ? codes : codes - 8, groupScale, ones(128, 1));

        Assert.Equal(digest, Digest(packed.Codes));
    }

    [Fact]
    public void A_sparse_weight_has_torchaos_words_and_metadata()
    {
        using DisposeScope scope = NewDisposeScope();
        float[] values = [.. Numbers(128 * 256).Select(number => ((number >> 8) / 8388608f) - 1)];
        Tensor magnitudes = tensor(values).view(128, 256).t().contiguous().abs().view(-1, 4);
        Tensor kept = magnitudes.sort(dim: 1, descending: true, stable: true).Indices.narrow(1, 0, 2);
        Tensor mask = zeros_like(magnitudes).scatter(1, kept, ones_like(magnitudes)).view(256, 128).to(ScalarType.Int32);
        Tensor codes = ((Codes(128, 256) * mask) + (8 * (1 - mask))).to(ScalarType.Byte);

        using MarlinSparseWeight packed = MarlinSparsePacking.Pack(codes, ones(256, 2, ScalarType.Float16));

        Assert.Equal("934f17ddd201bd57", Digest(packed.Codes));
        Assert.Equal("fd01203eea67f607", Digest(packed.Metadata));
    }

    // Numbers in rows of N, as torchao packs them; ours are rows of K.
    private static Tensor Codes(long k, long n) =>
        tensor((int[])[.. Numbers((int)(k * n)).Select(number => (int)(number >> 28))]).view(k, n).t().contiguous();

    private static uint[] Numbers(int count)
    {
        uint state = 1;
        uint[] numbers = new uint[count];
        for (int i = 0; i < count; i++)
        {
            state = unchecked((1664525 * state) + 1013904223);
            numbers[i] = state;
        }

        return numbers;
    }

    private static string Digest(Tensor words) => Convert.ToHexStringLower(SHA256.HashData(words.bytes.ToArray()))[..16];
}
