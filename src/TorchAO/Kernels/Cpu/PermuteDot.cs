using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Kernels.Cpu;

/// <summary>A row of codes times a few rows of activations, decoded in registers, accumulated in float32: of at most 6 bits that stand
/// for bfloat16 numbers, or of 4 bits that stand for any.</summary>
/// <remarks>
/// The values of small floats are bfloat16 numbers: two bytes, each of which one permute looks up for 64 codes at once, where a table
/// of float32 takes a permute for 16. Unpacking makes float32 of the bytes, or indices of the codes, and mixes their order; the codes
/// are laid out so that it comes out right.
/// </remarks>
internal static unsafe class PermuteDot
{
    /// <summary>The bytes of the two planes together, the high one first.</summary>
    public const int PlaneBytes = 2 * Step;

    /// <summary>The widest codes that a permute of 64 bytes looks up.</summary>
    public const int MaxBits = 6;

    private const int Step = 64;
    private const int TableBits = 4; // sixteen values of float32 fill a register

    // By bits of a code. Byte 16 L + 4 i + t of a vector is that of code 16 i + 4 L + t: unpacking bytes to words and words to
    // lanes, within 16 bytes each, then gives the codes in order. Four codes lie in at most four bytes, here as a big-endian number.
    private static readonly Vector512<byte>[] Orders = ByBits((bits, code, place) => (FirstBit(bits, code) / 8) + 3 - (place % 4));

    private static readonly Vector512<byte>[] Shifts = ByBits((bits, code, place) =>
        (place % 8 / 4 * 32) + 32 - (FirstBit(bits, code) % 8) - (((place % 4) + 1) * bits));

    /// <summary>Gets whether this processor has the instructions.</summary>
    public static bool IsSupported => Avx512Vbmi.IsSupported && Vector512.IsHardwareAccelerated;

    /// <summary>Cuts a table into planes, or says that its values are no bfloat16 numbers or too many.</summary>
    /// <param name="values">The values of the codes, <c>2^bits</c> of them.</param>
    /// <param name="bits">Bits of a code.</param>
    /// <param name="planes">Receives <see cref="PlaneBytes"/> bytes; both planes repeat where the codes are narrow.</param>
    public static bool TryCut(ReadOnlySpan<float> values, int bits, Span<byte> planes)
    {
        if (bits > MaxBits)
        {
            return false;
        }

        for (int i = 0; i < Step; i++)
        {
            uint value = BitConverter.SingleToUInt32Bits(values[i & ((1 << bits) - 1)]);
            if ((value & 0xFFFF) != 0)
            {
                return false;
            }

            planes[i] = (byte)(value >> 24);
            planes[Step + i] = (byte)(value >> 16);
        }

        return true;
    }

    /// <summary>Computes the products of a weight row; blocks are multiples of 64 codes, or the row.</summary>
    /// <param name="row">The weight row, with planes.</param>
    /// <param name="x">The first of m activation rows.</param>
    /// <param name="stride">The distance of activation rows in elements.</param>
    /// <param name="m">Activation rows, at most <see cref="RowProduct.MaxRows"/>.</param>
    /// <param name="y">Receives m sums.</param>
    /// <returns>How many codes were taken; what is left of a row is less than 64.</returns>
    public static int Run(in TableRow row, float* x, long stride, int m, float* y) => row.Planes != null
        ? Run<BytePlanes>(row, x, stride, m, y)
        : Run<SixteenFloats>(row, x, stride, m, y);

    /// <summary>Says whether a row can be computed here.</summary>
    public static bool Covers(in TableRow row) =>
        IsSupported && (row.Planes != null || row.Bits == TableBits) && (row.BlockSize % Step == 0 || row.BlockSize == row.Length);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Run<TValues>(in TableRow row, float* x, long stride, int m, float* y)
        where TValues : struct, IValues
    {
        Debug.Assert(Covers(row) && m is > 0 and <= RowProduct.MaxRows);
        Vector512<float>* sums = stackalloc Vector512<float>[RowProduct.MaxRows];
        new Span<Vector512<float>>(sums, m).Clear();
        int stepBytes = Step / 8 * row.Bits, steps = row.Length / Step;
        int bytes = (int)((((long)row.Length * row.Bits) + 7) / 8);

        // A step reads 64 bytes. The last ones are read from a copy with room behind, in a second run: a call in the loop would
        // make it keep its sums in memory, at twice the time.
        int whole = bytes < Step ? 0 : Math.Min(((bytes - Step) / stepBytes) + 1, steps);
        Place place = Steps<TValues>(row, row.Codes, whole, new Place(row.Scales, row.BlockSize), x, stride, m, sums);
        if (whole < steps)
        {
            byte* last = stackalloc byte[2 * Step];
            int first = whole * stepBytes;
            new ReadOnlySpan<byte>(row.Codes + first, Math.Min(bytes - first, 2 * Step)).CopyTo(new Span<byte>(last, 2 * Step));
            Steps<TValues>(row, last, steps - whole, place, x + (whole * Step), stride, m, sums);
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector512.Sum(sums[i]);
        }

        return steps * Step;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Place Steps<TValues>(
        in TableRow row, byte* codes, int steps, Place place, float* x, long stride, int m, Vector512<float>* sums)
        where TValues : struct, IValues
    {
        Vector512<byte> order = Orders[row.Bits], shift = Shifts[row.Bits];
        (Vector512<byte> first, Vector512<byte> second) = TValues.Load(row);
        int stepBytes = Step / 8 * row.Bits, block = row.BlockSize;
        float* scales = place.Scales;
        int left = place.Left;
        Vector512<float> sum = *sums;
        for (int i = 0; i < steps; i++, codes += stepBytes, x += Step)
        {
            CodePrefetch.Ahead(codes);
            TValues.LookUp(
                Indices(codes, order, shift), first, second,
                out Vector512<float> w0, out Vector512<float> w1, out Vector512<float> w2, out Vector512<float> w3);
            var scale = Vector512.Create(*scales);
            if (m == 1)
            {
                // One activation row, which is decode: the sum stays in a register.
                sum = Vector512.MultiplyAddEstimate(VectorProduct.Sum512(w0, w1, w2, w3, x), scale, sum);
            }
            else
            {
                VectorProduct.Add512(w0 * scale, w1 * scale, w2 * scale, w3 * scale, x, stride, m, sums);
            }

            left -= Step;
            if (left == 0)
            {
                scales++;
                left = block;
            }
        }

        if (m == 1)
        {
            *sums = sum;
        }

        return new Place(scales, left);
    }

    /// <summary>Computes some values of a row, scales included.</summary>
    /// <param name="row">The weight row, which <see cref="Covers"/> affirms.</param>
    /// <param name="start">The first code, a multiple of 64.</param>
    /// <param name="count">Codes.</param>
    /// <param name="to">Receives the values.</param>
    /// <returns>How many were computed, a multiple of 64; those that a load of 64 bytes beyond the row would take are left.</returns>
    public static int Decode(in TableRow row, int start, int count, float* to) =>
        row.Planes != null ? Decode<BytePlanes>(row, start, count, to) : Decode<SixteenFloats>(row, start, count, to);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Decode<TValues>(in TableRow row, int start, int count, float* to)
        where TValues : struct, IValues
    {
        Debug.Assert(start % Step == 0);
        Vector512<byte> order = Orders[row.Bits], shift = Shifts[row.Bits];
        (Vector512<byte> first, Vector512<byte> second) = TValues.Load(row);
        int stepBytes = Step / 8 * row.Bits, before = start / Step * stepBytes, left = row.BlockSize - (start % row.BlockSize);
        long readable = ((((long)row.Length * row.Bits) + 7) / 8) - before;
        byte* codes = row.Codes + before;
        float* scales = row.Scales + (start / row.BlockSize);
        int done = 0;
        for (; done + Step <= count && readable >= Step; done += Step, readable -= stepBytes, codes += stepBytes)
        {
            CodePrefetch.Ahead(codes);
            TValues.LookUp(
                Indices(codes, order, shift), first, second,
                out Vector512<float> w0, out Vector512<float> w1, out Vector512<float> w2, out Vector512<float> w3);
            var scale = Vector512.Create(*scales);
            (w0 * scale).Store(to + done);
            (w1 * scale).Store(to + done + 16);
            (w2 * scale).Store(to + done + 32);
            (w3 * scale).Store(to + done + 48);
            left -= Step;
            if (left == 0)
            {
                scales++;
                left = row.BlockSize;
            }
        }

        return done;
    }

    // What is above a code's bits does not matter: no permute looks at it, and planes of narrow codes repeat.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Indices(byte* codes, Vector512<byte> order, Vector512<byte> shift) =>
        Avx512Vbmi.MultiShift(shift, Avx512Vbmi.PermuteVar64x8(Vector512.Load(codes), order).AsUInt64());

    private static int FirstBit(int bits, int code) => code / 4 * 4 * bits;

    private static Vector512<byte>[] ByBits(Func<int, int, int, int> entry) =>
    [
        .. Enumerable.Range(0, MaxBits + 1).Select(bits => Vector512.Create<byte>(
            [.. Enumerable.Range(0, Step).Select(place => (byte)entry(bits, CodeAt(place), place))])),
    ];

    private static int CodeAt(int place) => (place % 16 / 4 * 16) + (place / 16 * 4) + (place % 4);

    /// <summary>Which scale is next, and for how many codes.</summary>
    private readonly struct Place(float* scales, int left)
    {
        public readonly float* Scales = scales;
        public readonly int Left = left;
    }

    /// <summary>How 64 codes become values: one implementation a kind of table, so that the loop has no branch.</summary>
    private interface IValues
    {
        /// <summary>Loads what <see cref="LookUp"/> looks into.</summary>
        static abstract (Vector512<byte> First, Vector512<byte> Second) Load(in TableRow row);

        /// <summary>Looks 64 codes up, those of the bytes 16 L + 4 i + t, t from 0 to 3, to the lanes 4 L + t of vector i.</summary>
        static abstract void LookUp(
            Vector512<byte> codes, Vector512<byte> first, Vector512<byte> second,
            out Vector512<float> w0, out Vector512<float> w1, out Vector512<float> w2, out Vector512<float> w3);
    }

    private readonly struct BytePlanes : IValues
    {
        public static (Vector512<byte> First, Vector512<byte> Second) Load(in TableRow row) =>
            (Vector512.Load(row.Planes), Vector512.Load(row.Planes + Step));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void LookUp(
            Vector512<byte> codes, Vector512<byte> first, Vector512<byte> second,
            out Vector512<float> w0, out Vector512<float> w1, out Vector512<float> w2, out Vector512<float> w3)
        {
            Vector512<byte> high = Avx512Vbmi.PermuteVar64x8(first, codes), low = Avx512Vbmi.PermuteVar64x8(second, codes);
            Vector512<ushort> a = Avx512BW.UnpackLow(low, high).AsUInt16(), b = Avx512BW.UnpackHigh(low, high).AsUInt16();
            w0 = Avx512BW.UnpackLow(Vector512<ushort>.Zero, a).AsSingle();
            w1 = Avx512BW.UnpackHigh(Vector512<ushort>.Zero, a).AsSingle();
            w2 = Avx512BW.UnpackLow(Vector512<ushort>.Zero, b).AsSingle();
            w3 = Avx512BW.UnpackHigh(Vector512<ushort>.Zero, b).AsSingle();
        }
    }

    private readonly struct SixteenFloats : IValues
    {
        public static (Vector512<byte> First, Vector512<byte> Second) Load(in TableRow row) =>
            (Vector512.Load(row.Table).AsByte(), default);

        // Each lane gets its code four times over; the permute looks at the low four bits.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void LookUp(
            Vector512<byte> codes, Vector512<byte> first, Vector512<byte> second,
            out Vector512<float> w0, out Vector512<float> w1, out Vector512<float> w2, out Vector512<float> w3)
        {
            Vector512<float> table = first.AsSingle();
            Vector512<ushort> a = Avx512BW.UnpackLow(codes, codes).AsUInt16(), b = Avx512BW.UnpackHigh(codes, codes).AsUInt16();
            w0 = Avx512F.PermuteVar16x32(table, Avx512BW.UnpackLow(a, a).AsInt32());
            w1 = Avx512F.PermuteVar16x32(table, Avx512BW.UnpackHigh(a, a).AsInt32());
            w2 = Avx512F.PermuteVar16x32(table, Avx512BW.UnpackLow(b, b).AsInt32());
            w3 = Avx512F.PermuteVar16x32(table, Avx512BW.UnpackHigh(b, b).AsInt32());
        }
    }
}
