using TorchAO.Kernels.Fused;
using Xunit;

namespace TorchAO.Tests.Kernels.Fused;

/// <summary>Decoding a row: one multiplication a number, so that paths agree to the bit.</summary>
public sealed unsafe class StoredRowPathsTests
{
    public static TheoryData<int> Lengths => [.. Enumerable.Range(0, 51), 128];

    [Theory]
    [MemberData(nameof(Lengths))]
    public void Int8_rows_are_the_same_on_all_paths(int length)
    {
        var random = new Random(length);
        using var codes = GuardedNumbers<byte>.Of(length, _ => (byte)random.Next(256));
        using var expected = GuardedNumbers<float>.Of(length, _ => float.NaN);
        using var actual = GuardedNumbers<float>.Of(length, _ => float.NaN);
        ScaledRow<Int8Code>.Scalar(codes.Address, 0.37f, expected.Address, length);
        Assert.All(expected.Span.ToArray().Zip(codes.Span.ToArray()), pair => Assert.Equal((sbyte)pair.Second * 0.37f, pair.First));

        ScaledRow<Int8Code>.Wide128(codes.Address, 0.37f, actual.Address, length);
        GuardedNumbers<float>.Equal(expected.Span, actual.Span, "128");
        ScaledRow<Int8Code>.Wide256(codes.Address, 0.37f, actual.Address, length);
        GuardedNumbers<float>.Equal(expected.Span, actual.Span, "256");
        ScaledRow<Int8Code>.Wide512(codes.Address, 0.37f, actual.Address, length);
        GuardedNumbers<float>.Equal(expected.Span, actual.Span, "512");
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void Float8_rows_are_the_same_on_all_paths(int length)
    {
        // Every code comes by over the lengths, NaN of both signs, zeros and subnormal values among them.
        using var codes = GuardedNumbers<byte>.Of(length, i => (byte)((length * 5) + i));
        using var expected = GuardedNumbers<float>.Of(length, _ => -1);
        using var actual = GuardedNumbers<float>.Of(length, _ => -1);
        ScaledRow<Float8Code>.Scalar(codes.Address, 0.37f, expected.Address, length);

        ScaledRow<Float8Code>.Wide128(codes.Address, 0.37f, actual.Address, length);
        Equal(expected.Span, actual.Span, "128");
        ScaledRow<Float8Code>.Wide256(codes.Address, 0.37f, actual.Address, length);
        Equal(expected.Span, actual.Span, "256");
        ScaledRow<Float8Code>.Wide512(codes.Address, 0.37f, actual.Address, length);
        Equal(expected.Span, actual.Span, "512");

        // A NaN is a NaN whatever its sign and payload.
        static void Equal(Span<float> expected, Span<float> actual, string what) => GuardedNumbers<float>.Equal(
            [.. expected.ToArray().Select(value => float.IsNaN(value) ? float.NaN : value)],
            [.. actual.ToArray().Select(value => float.IsNaN(value) ? float.NaN : value)],
            what);
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void Int4_groups_are_the_same_on_all_paths(int half)
    {
        int length = 2 * half;
        var random = new Random(length);
        using var codes = GuardedNumbers<byte>.Of(half, _ => (byte)random.Next(256));
        using var expected = GuardedNumbers<float>.Of(length, _ => float.NaN);
        using var actual = GuardedNumbers<float>.Of(length, _ => float.NaN);
        StoredInt4Rows.Scalar(codes.Address, 0.25f, -1.5f, expected.Address, length); // exact, fused or not

        StoredInt4Rows.Wide128(codes.Address, 0.25f, -1.5f, actual.Address, length);
        GuardedNumbers<float>.Equal(expected.Span, actual.Span, "128");
        StoredInt4Rows.Wide256(codes.Address, 0.25f, -1.5f, actual.Address, length);
        GuardedNumbers<float>.Equal(expected.Span, actual.Span, "256");
        StoredInt4Rows.Wide512(codes.Address, 0.25f, -1.5f, actual.Address, length);
        GuardedNumbers<float>.Equal(expected.Span, actual.Span, "512");
    }
}
