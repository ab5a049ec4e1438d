using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives.Kernels;

/// <summary>The smallest and the largest value of each run of memory, found in one pass on all workers.</summary>
/// <remarks>As <c>amin</c> and <c>amax</c>: a run with NaN has NaN for both. Which of −0 and 0 is found is not said.</remarks>
internal static unsafe class BlockExtremes
{
    // A long run is shared by workers, and a short one has company: about this many values are worth a worker.
    private const long Piece = 1 << 15;
    private const int Lanes = 16;
    private const uint InfinityBits = 0x7F800000;

    /// <summary>Says whether values can be read here, and are of a type that is known here.</summary>
    public static bool Covers(Tensor values) =>
        values.device_type == DeviceType.CPU && values.numel() > 0 && values.is_contiguous()
        && values.dtype is ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16;

    /// <summary>Finds them.</summary>
    /// <param name="values">Values that <see cref="Covers"/> affirms.</param>
    /// <param name="blocks">The count of runs, which divides that of the values.</param>
    /// <returns>Two tensors <c>[blocks]</c> in the type of the values. The caller disposes them.</returns>
    public static (Tensor Min, Tensor Max) Find(Tensor values, long blocks)
    {
        using DisposeScope scope = NewDisposeScope();
        long length = values.numel() / blocks;
        long pieces = (length + Piece - 1) / Piece;
        Tensor lows = empty([blocks, pieces], dtype: ScalarType.Float32);
        Tensor highs = empty([blocks, pieces], dtype: ScalarType.Float32);
        var place = new Place(
            TensorMemory.Address<byte>(values), TensorMemory.Address<float>(lows), TensorMemory.Address<float>(highs), length, pieces);
        switch (values.dtype)
        {
            case ScalarType.Float32:
                Run<Float32Values>(place, blocks);
                break;
            case ScalarType.BFloat16:
                Run<BFloat16Values>(place, blocks);
                break;
            default:
                Run<Float16Values>(place, blocks);
                break;
        }

        GC.KeepAlive(values); // the job reads it by address
        Tensor min = pieces == 1 ? lows.view(blocks) : lows.amin([1]);
        Tensor max = pieces == 1 ? highs.view(blocks) : highs.amax([1]);
        return (min.to_type(values.dtype).MoveToOuterDisposeScope(), max.to_type(values.dtype).MoveToOuterDisposeScope());
    }

    /// <summary>Finds the largest magnitude of each run, NaN where there is one.</summary>
    /// <param name="values">Values that <see cref="Covers"/> affirms.</param>
    /// <param name="blocks">The count of runs, which divides that of the values.</param>
    /// <returns>Magnitudes <c>[blocks]</c> in the type of the values. The caller disposes them.</returns>
    public static Tensor Magnitudes(Tensor values, long blocks)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor min, Tensor max) = Find(values, blocks);
        return maximum(-min, max).abs_().MoveToOuterDisposeScope();
    }

    /// <summary>Says whether no value is infinite or NaN.</summary>
    /// <param name="values">Values that <see cref="Covers"/> affirms.</param>
    public static bool AreFinite(Tensor values)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor min, Tensor max) = Find(values, 1);
        return float.IsFinite(min.to(ScalarType.Float32).item<float>()) && float.IsFinite(max.to(ScalarType.Float32).item<float>());
    }

    private static void Run<TLanes>(Place place, long blocks)
        where TLanes : struct, IFloatLanes
    {
        long unit = Math.Min(place.Length, Piece);
        ParallelRows.Run(blocks * place.Pieces, Math.Max(1, Piece / unit), new Job<TLanes>(place));
    }

    /// <summary>Where values are and results go.</summary>
    private readonly struct Place(byte* values, float* lows, float* highs, long length, long pieces)
    {
        public readonly byte* Values = values;
        public readonly float* Lows = lows;
        public readonly float* Highs = highs;
        public readonly long Length = length;
        public readonly long Pieces = pieces;
    }

    private readonly struct Job<TLanes>(Place place) : IRowJob
        where TLanes : struct, IFloatLanes
    {
        // A model is quantized once: there would be no time to notice that this is hot.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long begin, long end)
        {
            for (long unit = begin; unit < end; unit++)
            {
                (long block, long piece) = place.Pieces == 1 ? (unit, 0) : Math.DivRem(unit, place.Pieces);
                long first = piece * Piece;
                int count = (int)Math.Min(Piece, place.Length - first);
                Find<TLanes>(place.Values + (((block * place.Length) + first) * TLanes.Bytes), count, place.Lows + unit, place.Highs + unit);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Find<TLanes>(byte* values, int count, float* low, float* high)
        where TLanes : struct, IFloatLanes
    {
        Debug.Assert(count > 0);
        if (count < Lanes)
        {
            // Filled up with the first value, which changes nothing.
            byte* padded = stackalloc byte[Lanes * sizeof(float)];
            for (int i = 0; i < Lanes; i++)
            {
                Unsafe.CopyBlockUnaligned(padded + (i * TLanes.Bytes), values + ((i < count ? i : 0) * TLanes.Bytes), (uint)TLanes.Bytes);
            }

            values = padded;
            count = Lanes;
        }

        // The last sixteen are taken in any case, once more where that meets some that were taken before.
        Vector512<float> min = TLanes.Load(values + ((count - Lanes) * TLanes.Bytes)), max = min;
        Vector512<uint> largest = Magnitude(min);
        for (int i = 0; i < count - Lanes; i += Lanes)
        {
            Vector512<float> lanes = TLanes.Load(values + (i * TLanes.Bytes));
            min = Vector512.MinNative(min, lanes);
            max = Vector512.MaxNative(max, lanes);
            largest = Vector512.Max(largest, Magnitude(lanes));
        }

        // The native minimum may lose a NaN on its way; its bits are larger than those of all numbers.
        bool hasNaN = Vector512.GreaterThanAny(largest, Vector512.Create(InfinityBits));
        *low = hasNaN ? float.NaN : -Largest(-min);
        *high = hasNaN ? float.NaN : Largest(max);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Magnitude(Vector512<float> values) => values.AsUInt32() & Vector512.Create(0x7FFFFFFFu);

    /// <summary>Finds the largest of sixteen numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float Largest(Vector512<float> lanes)
    {
        Vector256<float> eight = Vector256.MaxNative(lanes.GetLower(), lanes.GetUpper());
        Vector128<float> four = Vector128.MaxNative(eight.GetLower(), eight.GetUpper());
        four = Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }
}
