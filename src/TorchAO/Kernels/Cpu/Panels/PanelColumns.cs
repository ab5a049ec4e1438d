using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>Turns rows of bytes into columns of a panel: four bytes of a row become one of the quads that lie next to each other.</summary>
internal static unsafe class PanelColumns
{
    private const int Lanes = 16;
    private const int VectorBytes = 64;

    /// <summary>Writes whole quads of up to <see cref="PanelTile.Columns"/> rows.</summary>
    /// <param name="from">The first byte of the first row.</param>
    /// <param name="stride">The distance of rows in bytes.</param>
    /// <param name="rows">Rows; the last one stands for those that are missing.</param>
    /// <param name="quads">Quads.</param>
    /// <param name="to">The first quad of the panel.</param>
    /// <param name="step">The distance of quads in the panel, in quads.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write<TTransform>(byte* from, long stride, int rows, int quads, byte* to, int step)
        where TTransform : struct, IByteTransform
    {
        int done = 0;
        if (Avx512F.IsSupported)
        {
            for (; done + Lanes <= quads; done += Lanes)
            {
                for (int half = 0; half < PanelTile.Columns; half += Lanes)
                {
                    Transpose<TTransform>(from + (4L * done), stride, half, rows - 1, To(to, done, step) + (4 * half), step);
                }
            }
        }

        Scalar<TTransform>(from, stride, rows, done, quads, to, step);
    }

    /// <summary>The reference: one quad of one row at a time.</summary>
    internal static void Scalar<TTransform>(byte* from, long stride, int rows, int begin, int end, byte* to, int step)
        where TTransform : struct, IByteTransform
    {
        for (int n = 0; n < PanelTile.Columns; n++)
        {
            uint* row = (uint*)(from + (Math.Min(n, rows - 1) * stride));
            for (int quad = begin; quad < end; quad++)
            {
                ((uint*)To(to, quad, step))[n] = TTransform.Apply(Unsafe.ReadUnaligned<uint>(row + quad));
            }
        }
    }

    /// <summary>Writes a quad of rows that end inside it.</summary>
    /// <param name="from">The first byte of the quad in the first row.</param>
    /// <param name="stride">The distance of rows in bytes.</param>
    /// <param name="rows">Rows; the last one stands for those that are missing.</param>
    /// <param name="bytes">Bytes of the quad that are there, 0 to 3; nothing behind them is read, and 0 writes nothing.</param>
    /// <param name="to">The quad in the panel.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteRest<TTransform>(byte* from, long stride, int rows, int bytes, byte* to)
        where TTransform : struct, IByteTransform
    {
        for (int n = 0; n < PanelTile.Columns && bytes > 0; n++)
        {
            byte* row = from + (Math.Min(n, rows - 1) * stride);
            uint quad = 0;
            for (int i = 0; i < bytes; i++)
            {
                quad |= (uint)row[i] << (8 * i);
            }

            ((uint*)to)[n] = TTransform.Apply(quad);
        }
    }

    /// <summary>Gets the address of a quad.</summary>
    public static byte* To(byte* to, int quad, int step = 1) => to + ((long)quad * step * PanelTile.Columns * 4);

    // 16 rows of 16 quads: pairs of quads, then of pairs, then of fours, then of eights change places.
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose<TTransform>(byte* from, long stride, int first, int last, byte* to, int step)
        where TTransform : struct, IByteTransform
    {
        Vector512<int>* part = stackalloc Vector512<int>[Lanes];
        for (int i = 0; i < Lanes; i += 4)
        {
            Vector512<int> r0 = Load<TTransform>(from + (Math.Min(first + i, last) * stride));
            Vector512<int> r1 = Load<TTransform>(from + (Math.Min(first + i + 1, last) * stride));
            Vector512<int> r2 = Load<TTransform>(from + (Math.Min(first + i + 2, last) * stride));
            Vector512<int> r3 = Load<TTransform>(from + (Math.Min(first + i + 3, last) * stride));
            Vector512<long> low01 = Avx512F.UnpackLow(r0, r1).AsInt64(), high01 = Avx512F.UnpackHigh(r0, r1).AsInt64();
            Vector512<long> low23 = Avx512F.UnpackLow(r2, r3).AsInt64(), high23 = Avx512F.UnpackHigh(r2, r3).AsInt64();
            part[i] = Avx512F.UnpackLow(low01, low23).AsInt32();
            part[i + 1] = Avx512F.UnpackHigh(low01, low23).AsInt32();
            part[i + 2] = Avx512F.UnpackLow(high01, high23).AsInt32();
            part[i + 3] = Avx512F.UnpackHigh(high01, high23).AsInt32();
        }

        // part[4 i + j] has quad 4 l + j of rows 4 i … 4 i + 3 in its 128-bit lane l.
        for (int j = 0; j < 4; j++)
        {
            Vector512<int> a = Avx512F.Shuffle4x128(part[j], part[4 + j], 0b10_00_10_00); // lanes 0, 2 of rows 0…3 and 4…7
            Vector512<int> b = Avx512F.Shuffle4x128(part[j], part[4 + j], 0b11_01_11_01);
            Vector512<int> c = Avx512F.Shuffle4x128(part[8 + j], part[12 + j], 0b10_00_10_00);
            Vector512<int> d = Avx512F.Shuffle4x128(part[8 + j], part[12 + j], 0b11_01_11_01);
            Avx512F.Shuffle4x128(a, c, 0b10_00_10_00).Store((int*)To(to, j, step));
            Avx512F.Shuffle4x128(b, d, 0b10_00_10_00).Store((int*)To(to, 4 + j, step));
            Avx512F.Shuffle4x128(a, c, 0b11_01_11_01).Store((int*)To(to, 8 + j, step));
            Avx512F.Shuffle4x128(b, d, 0b11_01_11_01).Store((int*)To(to, 12 + j, step));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Load<TTransform>(byte* from)
        where TTransform : struct, IByteTransform => TTransform.Apply(Vector512.Load((uint*)from)).AsInt32();
}
