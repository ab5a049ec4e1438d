using TorchAO.Kernels.Fused;
using TorchAO.KvCache;
using TorchAO.Runtime.Memory;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Fused;

/// <summary>Rows written without tensor operators against the codec, which writes them with.</summary>
public sealed class StoredRowsTests
{
    public static TheoryData<KeyValueFormat, ScalarType, int> Cases()
    {
        var data = new TheoryData<KeyValueFormat, ScalarType, int>();
        foreach (KeyValueFormat format in Enum.GetValues<KeyValueFormat>())
        {
            foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16 })
            {
                foreach (int size in new[] { 2, 6, 8, 40, 64, 128 })
                {
                    data.Add(format, type, size);
                }
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Rows_are_stored_and_read_as_the_codec_does(KeyValueFormat format, ScalarType type, int size)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(size);
        Tensor rows = Rows(size).to(type);
        var codec = KeyValueCodec.Of(format, size);
        IReadOnlyList<Tensor> expected = codec.Encode(rows);
        IReadOnlyList<Tensor> empty = codec.Encode(zeros_like(rows));
        StoredRows stored = codec.Rows(empty, type);
        (long heads, long tokens) = (rows.size(0) * rows.size(1), rows.size(2));
        Tensor source = rows.to(ScalarType.Float32).contiguous();
        Span<float> values = TensorMemory.Span<float>(source);

        for (int head = 0; head < heads; head++)
        {
            for (int token = 0; token < tokens; token++)
            {
                stored.Store(head, token, values.Slice(((head * (int)tokens) + token) * size, size));
            }
        }

        for (int i = 0; i < expected.Count; i++)
        {
            ReadOnlySpan<byte> want = TensorMemory.ReadOnlySpan<byte>(expected[i].contiguous());
            Assert.True(want.SequenceEqual(TensorMemory.ReadOnlySpan<byte>(empty[i])), $"component {i} of {format}, {type}, {size}");
        }

        Tensor decoded = codec.Decode(expected, ScalarType.Float32).to(ScalarType.Float32).contiguous();
        float[] read = new float[tokens * size];
        for (int head = 0; head < heads; head++)
        {
            stored.Read(head, 0, read);
            ReadOnlySpan<float> want = TensorMemory.ReadOnlySpan<float>(decoded).Slice(head * read.Length, read.Length);
            for (int i = 0; i < read.Length; i++)
            {
                // int4 may multiply and add in one rounding, of a product up to twice as large as the row.
                ReadOnlySpan<float> row = want.Slice(i / size * size, size);
                Assert.Equal(want[i], read[i], 2.5e-7f * (1e-6f + Greatest(row)));
            }
        }
    }

    [Fact]
    public void A_row_or_place_that_does_not_fit_is_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        StoredRows rows = StoredRows.Float(zeros(2, 3, 5, 4));
        Assert.Equal((6, 5, 4), (rows.Heads, rows.Capacity, rows.Size));
        Assert.Contains("row has 3", Assert.Throws<ArgumentException>(() => rows.Store(0, 0, new float[3])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => rows.Store(6, 0, new float[4]));
        Assert.Throws<ArgumentOutOfRangeException>(() => rows.Store(-1, 0, new float[4]));
        Assert.Throws<ArgumentOutOfRangeException>(() => rows.Read(0, 4, new float[8]));
        Assert.Throws<ArgumentException>(() => rows.Read(0, 0, new float[5]));
        Assert.Throws<ArgumentException>(() => StoredRows.Float(zeros(3, 4)));
        Assert.Throws<ArgumentException>(() => StoredRows.Float(zeros(1, 1, 3, 4, dtype: ScalarType.Float64)));
        Assert.Throws<ArgumentException>(() => StoredRows.Float(zeros(1, 1, 4, 3).transpose(2, 3)));
        Tensor codes = zeros(1, 2, 3, 4, dtype: ScalarType.Int8);
        Assert.Contains(
            "expected [1, 2, 3, 1]",
            Assert.Throws<ArgumentException>(() => StoredRows.Int8(codes, zeros(1, 2, 3), ScalarType.Float32)).Message,
            StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => StoredRows.Float8(codes, zeros(1, 2, 3, 1), ScalarType.Float32));
        Assert.Throws<ArgumentException>(() => StoredRows.Int8(codes, zeros(1, 2, 3, 1), ScalarType.Float64));
        Tensor packed = zeros(1, 2, 3, 3, dtype: ScalarType.Byte), steps = zeros(1, 2, 3, 2);
        Assert.Contains("groups of an even size", Assert.Throws<ArgumentException>(() => StoredRows.Int4(packed, steps, steps)).Message, StringComparison.Ordinal);
    }

    private static float Greatest(ReadOnlySpan<float> row)
    {
        float greatest = 0;
        foreach (float value in row)
        {
            greatest = MathF.Max(greatest, MathF.Abs(value));
        }

        return greatest;
    }

    // Ordinary rows, one of zeros, one far larger and one far smaller than what scales can hold, one constant.
    private static Tensor Rows(int size)
    {
        Tensor rows = randn(2, 3, 7, size);
        rows.select(2, 1).zero_();
        rows.select(2, 2).mul_(3000);
        rows.select(2, 3).mul_(1e-5);
        rows.select(2, 4).fill_(0.7);
        return rows;
    }
}
