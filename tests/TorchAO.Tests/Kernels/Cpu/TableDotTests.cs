using System.Runtime.Intrinsics.X86;
using TorchAO.Kernels.Cpu;
using TorchAO.Kernels.Cpu.FloatPanels;
using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cpu;

/// <summary>Streams of codes come back code by code, and every path of the product gives the same sums.</summary>
public sealed unsafe class TableDotTests
{
    public static TheoryData<int> Widths => [1, 2, 3, 4, 5, 6, 7, 8];

    [Theory]
    [MemberData(nameof(Widths))]
    public void A_stream_of_any_length_is_decoded_as_it_was_packed(int bits)
    {
        foreach (int count in new[] { 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 512, 515 })
        {
            byte[] codes = Codes(bits, count);
            byte[] packed = Pack(codes, bits);
            Assert.Equal(codes, Guarded(packed, count, (from, to) => BitStreamDecode.Run(from, bits, count, to, packed.Length)));
            Assert.Equal(codes, Guarded(packed, count, (from, to) => BitStreamDecode.Scalar(from, bits, count, to)));
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void The_paths_agree_bit_for_bit_where_sums_are_exact(int bits)
    {
        foreach ((int length, int block) in new[] { (1, 1), (7, 7), (16, 16), (33, 33), (64, 16), (96, 32), (130, 130), (192, 64), (520, 520), (1040, 208), (1536, 64) })
        {
            foreach (int m in new[] { 1, 2, 5, 8 })
            {
                byte[] packed = Pack(Codes(bits, length), bits);
                var random = new Random(length);

                // Small whole numbers, so that no sum is rounded.
                float[] table = TableDot.PadTable([.. Enumerable.Range(0, 1 << bits).Select(_ => (float)random.Next(-9, 10))], bits);
                float[] scales = [.. Enumerable.Range(0, length / block).Select(_ => random.Next(2) == 0 ? 0.5f : 4)];
                float[] x = [.. Enumerable.Range(0, length * m).Select(_ => (float)random.Next(-8, 9))];
                float[][] sums =
                [
                    .. Paths(bits).Select(path => Sums(path, packed, bits, table, scales, x, length, block, m)),
                    Sums(TableDot.Best, packed, bits, table, scales, x, length, block, m, hasPlanes: false),
                ];

                Assert.Equal(Definition(Codes(bits, length), table, scales, x, length, block, m), sums[0]);
                Assert.All(sums, sum => Assert.Equal(sums[0], sum));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Values_of_any_piece_of_a_row_are_those_of_its_codes(int bits)
    {
        foreach ((int length, int block) in new[] { (7, 7), (64, 16), (130, 130), (192, 64), (520, 520), (1040, 208), (1536, 64) })
        {
            byte[] codes = Codes(bits, length), packed = Pack(codes, bits);
            float[] table = TableDot.PadTable([.. Enumerable.Range(0, 1 << bits).Select(code => code - 2.5f)], bits);
            float[] scales = [.. Enumerable.Range(0, length / block).Select(group => 1 + (group / 8f))];
            float[] expected = [.. codes.Select((code, k) => table[code] * scales[k / block])];
            Assert.Equal(expected, Values(packed, bits, table, scales, length, block, hasPlanes: true));
            Assert.Equal(expected, Values(packed, bits, table, scales, length, block, hasPlanes: false));
        }
    }

    [Fact]
    public void A_table_has_planes_if_its_values_are_bfloat16_numbers()
    {
        float[] planes = [.. Enumerable.Range(0, 16).Select(i => i - 7.5f)];
        float[] none = [.. planes[..15], 1.001f];

        Assert.True(PermuteDot.TryCut(planes, 4, new byte[PermuteDot.PlaneBytes]));
        Assert.False(PermuteDot.TryCut(none, 4, new byte[PermuteDot.PlaneBytes]));
        Assert.False(PermuteDot.TryCut(new float[128], 7, new byte[PermuteDot.PlaneBytes]));
    }

    private delegate void Dot(in TableRow row, float* x, long stride, int m, float* y);

    private static List<Dot> Paths(int bits)
    {
        // The best path takes the planes where it can.
        List<Dot> paths = [TableDot.Scalar, TableDot.Best];
        if (Avx2.IsSupported)
        {
            paths.Add(TableDot.Wide256);
        }

        if (Avx512F.IsSupported)
        {
            paths.Add(TableDot.Wide512<TableDot.TableInCache>);
            if (bits <= 6)
            {
                paths.Add(bits == 6 ? TableDot.Wide512<TableDot.Table64>
                    : bits == 5 ? TableDot.Wide512<TableDot.Table32> : TableDot.Wide512<TableDot.Table16>);
            }
        }

        return paths;
    }

    private static float[] Sums(
        Dot dot, byte[] packed, int bits, float[] table, float[] scales, float[] x, int length, int block, int m, bool hasPlanes = true)
    {
        float[] y = new float[m];
        byte[] planes = new byte[PermuteDot.PlaneBytes];
        Assert.Equal(bits <= PermuteDot.MaxBits, PermuteDot.TryCut(table, bits, planes));
        fixed (float* t = table, s = scales, a = x, result = y)
        fixed (byte* cut = planes)
        {
            nint codes = GuardedMemory.End(packed, out nint region);
            dot(new TableRow((byte*)codes, bits, t, s, length, block, hasPlanes && bits <= PermuteDot.MaxBits ? cut : null), a, length, m, result);
            GuardedMemory.Free(region, packed.Length);
        }

        return y;
    }

    private static float[] Values(byte[] packed, int bits, float[] table, float[] scales, int length, int block, bool hasPlanes)
    {
        float[] values = new float[length];
        byte[] planes = new byte[PermuteDot.PlaneBytes];
        bool isCut = PermuteDot.TryCut(table, bits, planes);
        nint codes = GuardedMemory.End(packed, out nint region);
        fixed (float* t = table, s = scales, to = values)
        fixed (byte* cut = planes)
        {
            var row = new TableRow((byte*)codes, bits, t, s, length, block, hasPlanes && isCut ? cut : null);
            for (int start = 0; start < length; start += FloatPanelProduct.PieceLength)
            {
                TableDot.DecodeValues(row, start, Math.Min(FloatPanelProduct.PieceLength, length - start), to + start);
            }
        }

        GuardedMemory.Free(region, packed.Length);
        return values;
    }

    private static float[] Definition(byte[] codes, float[] table, float[] scales, float[] x, int length, int block, int m) =>
        [.. Enumerable.Range(0, m).Select(i => Enumerable.Range(0, length).Sum(k => x[(i * length) + k] * table[codes[k]] * scales[k / block]))];

    private static byte[] Guarded(byte[] packed, int count, Decoder decode)
    {
        byte[] result = new byte[count];
        nint from = GuardedMemory.End(packed, out nint region);
        fixed (byte* to = result)
        {
            decode((byte*)from, to);
        }

        GuardedMemory.Free(region, packed.Length);
        return result;
    }

    private delegate void Decoder(byte* from, byte* to);

    private static byte[] Codes(int bits, int count)
    {
        var random = new Random((bits * 1000) + count);
        return [.. Enumerable.Range(0, count).Select(_ => (byte)random.Next(1 << bits))];
    }

    private static byte[] Pack(byte[] codes, int bits)
    {
        using DisposeScope scope = NewDisposeScope();
        return BitStreamRows.Pack(tensor(codes).reshape(1, -1), bits).bytes.ToArray();
    }
}
