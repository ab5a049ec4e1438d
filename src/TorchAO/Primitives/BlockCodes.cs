using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Rounds runs of memory to codes of a byte in one pass on all workers, with the bits of the tensor arithmetic of
/// <see cref="AffineQuantization"/>.</summary>
/// <remarks>Each step that the tensor arithmetic rounds to a narrow type is rounded to it here, in registers; nothing of the size of
/// the weight is made beside the codes.</remarks>
internal static unsafe class BlockCodes
{
    private const long Piece = 1 << 15; // values that are worth a worker
    private const int Lanes = 16;

    /// <summary>Says whether codes are of a byte, as those are that are made here.</summary>
    public static bool Covers(QuantizedType target) => target.Storage is ScalarType.Int8 or ScalarType.Byte;

    /// <summary>Quantizes, or says that these values, parameters or codes are for the tensor arithmetic.</summary>
    /// <param name="input">Values whose blocks are one piece of memory each.</param>
    /// <param name="scale">Scales, one a block, in the order of the blocks.</param>
    /// <param name="zero">Zero points likewise, or <see langword="null"/>.</param>
    /// <param name="scheme">The codes and the domain of the zero point.</param>
    /// <returns>Codes in the shape of the input, or <see langword="null"/>. The caller disposes them.</returns>
    public static Tensor? Quantize(Tensor input, Tensor scale, Tensor? zero, AffineScheme scheme)
    {
        if (!BlockExtremes.Covers(input) || input.dim() == 0 || !Covers(scheme.Target))
        {
            return null;
        }

        // Both numbers of a block are computed as the tensor arithmetic computes them, and only then widened.
        using DisposeScope scope = NewDisposeScope();
        bool isByValue = scheme.Domain == ZeroPointDomain.Float;
        double middle = scheme.Target.Middle;
        Tensor factor = isByValue ? scale : scale.reciprocal();
        Tensor? offset = !isByValue ? zero : zero is null ? scale * -middle : zero - (scale * middle);
        ScalarType[] types = isByValue ? [offset!.dtype, scale.dtype] : [scale.dtype, offset?.dtype ?? scale.dtype];
        if (WorkType(input.dtype, types) is not { } work)
        {
            return null;
        }

        Tensor codes = empty(input.shape, dtype: scheme.Target.Storage);
        Tensor factors = factor.to_type(ScalarType.Float32).contiguous();
        Tensor? offsets = offset?.to_type(work).to_type(ScalarType.Float32).contiguous();
        var place = new Place(
            TensorMemory.Address<byte>(input), TensorMemory.Address<byte>(codes), TensorMemory.Address<float>(factors),
            offsets is null ? null : TensorMemory.Address<float>(offsets), input.numel() / scale.numel(),
            (float)scheme.Target.Min, (float)scheme.Target.Max);
        Run(place, scale.numel(), input.dtype, work, isByValue);
        GC.KeepAlive(input); // the job works on addresses
        return codes.MoveToOuterDisposeScope();
    }

    // The type that every step is rounded to, if it is one for all: float32 as soon as two types meet in the first.
    private static ScalarType? WorkType(ScalarType input, ScalarType[] parameters)
    {
        ScalarType first = Wider(input, parameters[0]), second = Wider(first, parameters[1]);
        return first == second && first is ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16 ? first : null;
    }

    private static ScalarType Wider(ScalarType a, ScalarType b) =>
        a == b || !is_floating_point(b) ? a
        : b is ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16 ? ScalarType.Float32
        : b;

    private static void Run(Place place, long blocks, ScalarType input, ScalarType work, bool isByValue)
    {
        switch (input, work)
        {
            case (ScalarType.Float32, _):
                Run<Float32Lanes, Float32Lanes>(place, blocks, isByValue);
                break;
            case (ScalarType.BFloat16, ScalarType.BFloat16):
                Run<BFloat16Lanes, BFloat16Lanes>(place, blocks, isByValue);
                break;
            case (ScalarType.BFloat16, _):
                Run<BFloat16Lanes, Float32Lanes>(place, blocks, isByValue);
                break;
            case (_, ScalarType.Float16):
                Run<Float16Lanes, Float16Lanes>(place, blocks, isByValue);
                break;
            default:
                Run<Float16Lanes, Float32Lanes>(place, blocks, isByValue);
                break;
        }
    }

    private static void Run<TInput, TWork>(Place place, long blocks, bool isByValue)
        where TInput : struct, IFloatLanes
        where TWork : struct, IFloatLanes
    {
        if (isByValue)
        {
            Run<TInput, FromOrigin<TWork>>(place, blocks);
        }
        else if (place.Offsets is null)
        {
            Run<TInput, Scaled<TWork>>(place, blocks);
        }
        else
        {
            Run<TInput, ScaledAndMoved<TWork>>(place, blocks);
        }
    }

    private static void Run<TInput, TRule>(Place place, long blocks)
        where TInput : struct, IFloatLanes
        where TRule : struct, IRule
    {
        long unit = Math.Min(place.Length, Piece);
        ParallelRows.Run(blocks * place.Pieces, Math.Max(1, Piece / unit), new Job<TInput, TRule>(place));
    }

    /// <summary>Where values, parameters and codes are; <see cref="Length"/> values share a factor and an offset.</summary>
    private readonly struct Place(byte* values, byte* codes, float* factors, float* offsets, long length, float min, float max)
    {
        public readonly byte* Values = values;
        public readonly byte* Codes = codes;
        public readonly float* Factors = factors;
        public readonly float* Offsets = offsets;
        public readonly long Length = length;
        public readonly float Min = min;
        public readonly float Max = max;

        public long Pieces => (Length + Piece - 1) / Piece;
    }

    private readonly struct Job<TInput, TRule>(Place place) : IRowJob
        where TInput : struct, IFloatLanes
        where TRule : struct, IRule
    {
        // A model is quantized once: there would be no time to notice that this is hot.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long begin, long end)
        {
            Vector512<float> min = Vector512.Create(place.Min), max = Vector512.Create(place.Max);
            long pieces = place.Pieces;
            for (long unit = begin; unit < end; unit++)
            {
                (long block, long piece) = pieces == 1 ? (unit, 0) : Math.DivRem(unit, pieces);
                long first = (block * place.Length) + (piece * Piece);
                int count = (int)Math.Min(Piece, place.Length - (piece * Piece));
                var factor = Vector512.Create(place.Factors[block]);
                var offset = Vector512.Create(place.Offsets is null ? 0 : place.Offsets[block]);
                Quantize<TInput, TRule>(place.Values + (first * TInput.Bytes), place.Codes + first, count, factor, offset, min, max);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Quantize<TInput, TRule>(
        byte* values, byte* codes, int count, Vector512<float> factor, Vector512<float> offset, Vector512<float> min, Vector512<float> max)
        where TInput : struct, IFloatLanes
        where TRule : struct, IRule
    {
        if (count < Lanes)
        {
            QuantizeFew<TInput, TRule>(values, codes, count, factor, offset, min, max);
            return;
        }

        for (int i = 0; i < count; i += Lanes)
        {
            // The last sixteen end with the run: some are computed twice, to the same codes.
            int at = Math.Min(i, count - Lanes);
            Narrow(TRule.Apply(TInput.Load(values + (at * TInput.Bytes)), factor, offset), min, max).Store(codes + at);
        }
    }

    private static void QuantizeFew<TInput, TRule>(
        byte* values, byte* codes, int count, Vector512<float> factor, Vector512<float> offset, Vector512<float> min, Vector512<float> max)
        where TInput : struct, IFloatLanes
        where TRule : struct, IRule
    {
        byte* padded = stackalloc byte[Lanes * sizeof(float)];
        Unsafe.CopyBlockUnaligned(padded, values, (uint)(count * TInput.Bytes));
        Vector128<byte> few = Narrow(TRule.Apply(TInput.Load(padded), factor, offset), min, max);
        Unsafe.CopyBlockUnaligned(codes, &few, (uint)count);
    }

    // In this order the native minimum and maximum hand a NaN on, whose integer has a low byte of zero: as in libtorch's cast. A
    // float16 row of zeros has such values, where the inverse of its scale is beyond float16.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Narrow(Vector512<float> codes, Vector512<float> min, Vector512<float> max)
    {
        Vector512<int> integers = Vector512.ConvertToInt32Native(Vector512.MinNative(max, Vector512.MaxNative(min, codes)));
        return Avx512F.IsSupported
            ? Avx512F.ConvertToVector128Byte(integers)
            : NarrowPortably(integers.AsUInt32());
    }

    // Narrowing keeps the low bits, so signed codes arrive as they are.
    internal static Vector128<byte> NarrowPortably(Vector512<uint> integers)
    {
        Vector256<ushort> words = Vector256.Narrow(integers.GetLower(), integers.GetUpper());
        return Vector128.Narrow(words.GetLower(), words.GetUpper());
    }

    /// <summary>How a value becomes a code that is not yet clamped.</summary>
    private interface IRule
    {
        static abstract Vector512<float> Apply(Vector512<float> x, Vector512<float> factor, Vector512<float> offset);
    }

    /// <summary><c>round(x · (1 / s))</c>.</summary>
    private readonly struct Scaled<TWork> : IRule
        where TWork : struct, IFloatLanes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Apply(Vector512<float> x, Vector512<float> factor, Vector512<float> offset) =>
            Vector512.Round(TWork.Round(x * factor));
    }

    /// <summary><c>round(x · (1 / s)) + z</c>.</summary>
    private readonly struct ScaledAndMoved<TWork> : IRule
        where TWork : struct, IFloatLanes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Apply(Vector512<float> x, Vector512<float> factor, Vector512<float> offset) =>
            TWork.Round(Vector512.Round(TWork.Round(x * factor)) + offset);
    }

    /// <summary><c>round((x − origin) / s)</c>.</summary>
    private readonly struct FromOrigin<TWork> : IRule
        where TWork : struct, IFloatLanes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Apply(Vector512<float> x, Vector512<float> factor, Vector512<float> offset) =>
            Vector512.Round(TWork.Round(TWork.Round(x - offset) / factor));
    }
}
