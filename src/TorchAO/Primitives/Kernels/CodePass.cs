using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Primitives.Kernels;

/// <summary>How a value becomes a code: all that differs between the passes of grids.</summary>
internal unsafe interface ICodeRule
{
    /// <summary>Computes sixteen codes; the low byte of each lane counts.</summary>
    /// <param name="x">Values.</param>
    /// <param name="factor">The block's first number, such as an inverse scale.</param>
    /// <param name="offset">The block's second number, or 0.</param>
    /// <param name="pass">What is the same for all blocks.</param>
    static abstract Vector512<int> Codes(Vector512<float> x, Vector512<float> factor, Vector512<float> offset, in CodePass pass);
}

/// <summary>A pass over blocks of values that are one piece of memory each: a byte a value comes out, on all workers, and nothing of
/// the size of the values is made beside it.</summary>
/// <remarks>Holds addresses: the tensors must outlive it.</remarks>
internal readonly unsafe struct CodePass
{
    private const long Piece = 1 << 15; // values that are worth a worker
    private const int Lanes = 16;

    private readonly byte* values;
    private readonly byte* codes;
    private readonly float* factors;
    private readonly float* offsets;
    private readonly long length;
    private readonly long blocks;
    private readonly ScalarType type;

    /// <summary>Prepares a pass.</summary>
    /// <param name="values">Values that <see cref="BlockExtremes.Covers"/> affirms.</param>
    /// <param name="codes">Receives the codes, one byte each, as many as there are values.</param>
    /// <param name="factors">float32, contiguous: one a block, in their order; their count divides that of the values.</param>
    /// <param name="offsets">float32, contiguous: one a block, or <see langword="null"/>.</param>
    public CodePass(Tensor values, Tensor codes, Tensor factors, Tensor? offsets)
    {
        this.values = TensorMemory.Address<byte>(values);
        this.codes = TensorMemory.Address<byte>(codes);
        this.factors = TensorMemory.Address<float>(factors);
        this.offsets = offsets is null ? null : TensorMemory.Address<float>(offsets);
        blocks = factors.numel();
        length = values.numel() / blocks;
        type = values.dtype;
    }

    /// <summary>Gets the smallest code, for rules that clamp.</summary>
    public float Min { get; init; }

    /// <summary>Gets the largest code, for rules that clamp.</summary>
    public float Max { get; init; }

    /// <summary>Gets numbers that a rule compares values with.</summary>
    public float* Table { get; init; }

    /// <summary>Gets the count of them.</summary>
    public int TableLength { get; init; }

    /// <summary>Gets the bits of the exponent, for codes of small floats.</summary>
    public int ExponentBits { get; init; }

    /// <summary>Gets the bits of the fraction, for codes of small floats.</summary>
    public int MantissaBits { get; init; }

    private long Pieces => (length + Piece - 1) / Piece;

    /// <summary>Computes all codes.</summary>
    public void Run<TRule>()
        where TRule : struct, ICodeRule
    {
        long units = blocks * Pieces, unitsPerWorker = Math.Max(1, Piece / Math.Min(length, Piece));
        switch (type)
        {
            case ScalarType.Float32:
                ParallelRows.Run(units, unitsPerWorker, new Job<Float32Values, TRule>(this));
                break;
            case ScalarType.BFloat16:
                ParallelRows.Run(units, unitsPerWorker, new Job<BFloat16Values, TRule>(this));
                break;
            default:
                ParallelRows.Run(units, unitsPerWorker, new Job<Float16Values, TRule>(this));
                break;
        }
    }

    /// <summary>Clamps codes and makes them integers. NaN becomes one whose low byte is 0, as in libtorch's cast.</summary>
    /// <remarks>In this order the native minimum and maximum hand a NaN on. A float16 row of zeros has such codes, where the inverse
    /// of its scale is beyond float16.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<int> Clamp(Vector512<float> lanes) => Vector512.ConvertToInt32Native(
        Vector512.MinNative(Vector512.Create(Max), Vector512.MaxNative(Vector512.Create(Min), lanes)));

    /// <summary>Keeps the low byte of each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LowBytes(Vector512<int> lanes) =>
        Avx512F.IsSupported ? Avx512F.ConvertToVector128Byte(lanes) : LowBytesPortably(lanes.AsUInt32());

    /// <summary>The twin of <see cref="LowBytes"/> on processors without the instruction.</summary>
    internal static Vector128<byte> LowBytesPortably(Vector512<uint> lanes)
    {
        Vector256<ushort> words = Vector256.Narrow(lanes.GetLower(), lanes.GetUpper());
        return Vector128.Narrow(words.GetLower(), words.GetUpper());
    }

    private readonly struct Job<TInput, TRule>(CodePass pass) : IRowJob
        where TInput : struct, IFloatLanes
        where TRule : struct, ICodeRule
    {
        // A model is quantized once: there would be no time to notice that this is hot.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long begin, long end)
        {
            CodePass own = pass;
            long pieces = own.Pieces;
            for (long unit = begin; unit < end; unit++)
            {
                (long block, long piece) = pieces == 1 ? (unit, 0) : Math.DivRem(unit, pieces);
                long first = (block * own.length) + (piece * Piece);
                int count = (int)Math.Min(Piece, own.length - (piece * Piece));
                var factor = Vector512.Create(own.factors[block]);
                var offset = Vector512.Create(own.offsets is null ? 0 : own.offsets[block]);
                byte* values = own.values + (first * TInput.Bytes), codes = own.codes + first;
                if (count < Lanes)
                {
                    Few<TInput, TRule>(values, codes, count, factor, offset, own);
                    continue;
                }

                for (int i = 0; i < count; i += Lanes)
                {
                    // The last sixteen end with the run: some are computed twice, to the same codes.
                    int at = Math.Min(i, count - Lanes);
                    LowBytes(TRule.Codes(TInput.Load(values + (at * TInput.Bytes)), factor, offset, own)).Store(codes + at);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Few<TInput, TRule>(
        byte* values, byte* codes, int count, Vector512<float> factor, Vector512<float> offset, in CodePass pass)
        where TInput : struct, IFloatLanes
        where TRule : struct, ICodeRule
    {
        byte* padded = stackalloc byte[Lanes * sizeof(float)];
        Unsafe.CopyBlockUnaligned(padded, values, (uint)(count * TInput.Bytes));
        Vector128<byte> few = LowBytes(TRule.Codes(TInput.Load(padded), factor, offset, pass));
        Unsafe.CopyBlockUnaligned(codes, &few, (uint)count);
    }
}
