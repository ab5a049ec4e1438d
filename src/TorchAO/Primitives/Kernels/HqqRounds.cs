using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives.Kernels;

/// <summary>The rounds of half-quadratic quantization over groups that are one piece of memory each: a round reads the weight once
/// and makes nothing of its size.</summary>
/// <remarks>The steps are those of <see cref="HqqQuantization"/> in float32. Sums run in another order, and the power of an outlier
/// comes from another library: zero points may differ in their last places from those of the tensor arithmetic.</remarks>
internal static unsafe class HqqRounds
{
    private const long ValuesPerUnit = 1 << 15; // values that are worth a worker
    private const int Lanes = 16;

    /// <summary>Says whether a weight and options are for these rounds.</summary>
    public static bool Covers(Tensor weight, HqqOptions options) =>
        BlockExtremes.Covers(weight) && options is { Axis: 1, SolverType: ScalarType.Float32, GroupSize: <= int.MaxValue };

    /// <summary>Improves zero points until a round makes no progress.</summary>
    /// <param name="weight">A weight that <see cref="Covers"/> affirms.</param>
    /// <param name="inverse">Inverse scales, float32, one a group.</param>
    /// <param name="zero">Zero points to begin with, float32, one a group; not consumed.</param>
    /// <param name="top">The largest code.</param>
    /// <param name="options">How.</param>
    /// <returns>Zero points in the shape of those given. The caller disposes them.</returns>
    public static Tensor Solve(Tensor weight, Tensor inverse, Tensor zero, double top, HqqOptions options)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor current = zero.clone(), next = empty_like(current);
        double beta = options.Beta;
        float best = 1e4f;
        for (int i = 0; i < options.Iterations; i++)
        {
            double error = Round(weight, inverse, current, next, new Step(beta, options.Norm, top), options.GroupSize);
            (current, next) = (next, current);
            beta *= options.Kappa;
            float size = (float)(error / weight.numel());
            if (!(size < best))
            {
                break;
            }

            best = size;
        }

        return current.MoveToOuterDisposeScope();
    }

    /// <summary>Rounds a weight to codes: <c>clamp(round(w · (1 / s) + z))</c> in float32.</summary>
    /// <param name="weight">A weight that <see cref="Covers"/> affirms.</param>
    /// <param name="inverse">Inverse scales, one a group.</param>
    /// <param name="zero">Zero points, one a group.</param>
    /// <param name="top">The largest code.</param>
    /// <returns>Codes in the shape of the weight, uint8. The caller disposes them.</returns>
    public static Tensor Codes(Tensor weight, Tensor inverse, Tensor zero, double top)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = empty(weight.shape, dtype: ScalarType.Byte);
        Tensor factors = inverse.to_type(ScalarType.Float32), offsets = zero.to_type(ScalarType.Float32);
        new CodePass(weight, codes, factors, offsets) { Max = (float)top }.Run<MovedThenRounded>();
        GC.KeepAlive(weight); // the pass works on addresses
        return codes.MoveToOuterDisposeScope();
    }

    private static double Round(Tensor weight, Tensor inverse, Tensor zero, Tensor next, Step step, long groupSize)
    {
        long groups = weight.numel() / groupSize;
        long groupsPerUnit = Math.Max(1, ValuesPerUnit / groupSize);
        long units = (groups + groupsPerUnit - 1) / groupsPerUnit;

        // One sum a unit, so that the result does not depend on how many workers there are.
        using Tensor errors = empty(units, dtype: ScalarType.Float64);
        var place = new Place(
            TensorMemory.Address<byte>(weight), TensorMemory.Address<float>(inverse), TensorMemory.Address<float>(zero),
            TensorMemory.Address<float>(next), TensorMemory.Address<double>(errors), groups, groupsPerUnit, (int)groupSize);
        switch (weight.dtype)
        {
            case ScalarType.Float32:
                ParallelRows.Run(units, 1, new Job<Float32Values>(place, step));
                break;
            case ScalarType.BFloat16:
                ParallelRows.Run(units, 1, new Job<BFloat16Values>(place, step));
                break;
            default:
                ParallelRows.Run(units, 1, new Job<Float16Values>(place, step));
                break;
        }

        GC.KeepAlive(weight); // the job works on addresses
        GC.KeepAlive(inverse);
        GC.KeepAlive(zero);
        double sum = 0;
        foreach (double error in TensorMemory.ReadOnlySpan<double>(errors))
        {
            sum += error;
        }

        return sum;
    }

    /// <summary>Where weight, parameters and results are.</summary>
    private readonly struct Place(
        byte* weight, float* inverse, float* zero, float* next, double* errors, long groups, long groupsPerUnit, int groupSize)
    {
        public readonly byte* Weight = weight;
        public readonly float* Inverse = inverse;
        public readonly float* Zero = zero;
        public readonly float* Next = next;
        public readonly double* Errors = errors;
        public readonly long Groups = groups;
        public readonly long GroupsPerUnit = groupsPerUnit;
        public readonly int GroupSize = groupSize;
    }

    /// <summary>What is the same for all groups of a round.</summary>
    private readonly struct Step(double beta, double norm, double top)
    {
        public readonly float InverseBeta = (float)(1 / beta);
        public readonly float Power = (float)(norm - 1);
        public readonly float Top = (float)top;

        // Shrinking by m^(p - 1) / beta leaves nothing of a magnitude m with m^(2 - p) <= 1 / beta, which most errors are: no power
        // is taken of these. The margin is larger than the error of a power.
        public readonly float Quiet = norm < 2 ? (float)(0.999 * Math.Pow(beta, -1 / (2 - norm))) : -1;
    }

    private readonly struct Job<TLanes>(Place place, Step step) : IRowJob
        where TLanes : struct, IFloatLanes
    {
        // A model is quantized once: there would be no time to notice that this is hot.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long begin, long end)
        {
            for (long unit = begin; unit < end; unit++)
            {
                long last = Math.Min(place.Groups, (unit + 1) * place.GroupsPerUnit);
                double errors = 0;
                for (long group = unit * place.GroupsPerUnit; group < last; group++)
                {
                    byte* values = place.Weight + (group * place.GroupSize * TLanes.Bytes);
                    errors += Improve<TLanes>(values, place.GroupSize, place.Inverse[group], place.Zero[group], step, place.Next + group);
                }

                place.Errors[unit] = errors;
            }
        }
    }

    // Takes one step of the solver on a group; returns the sum of the magnitudes of the error before it.
    private static float Improve<TLanes>(byte* values, int count, float inverse, float zero, Step step, float* next)
        where TLanes : struct, IFloatLanes
    {
        // Outliers are rare: a loop that calls for their powers would keep its sums in memory.
        float error = Improve<TLanes, WithoutOutliers>(values, count, inverse, zero, step, next, out float largest);
        return largest <= step.Quiet
            ? error
            : Improve<TLanes, WithOutliers>(values, count, inverse, zero, step, next, out _);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Improve<TLanes, TOutliers>(
        byte* values, int count, float inverse, float zero, in Step step, float* next, out float largest)
        where TLanes : struct, IFloatLanes
        where TOutliers : struct, IOutliers
    {
        Vector512<float> inverses = Vector512.Create(inverse), zeros = Vector512.Create(zero), top = Vector512.Create(step.Top);
        Vector512<float> targets = Vector512<float>.Zero, errors = targets, magnitudes = targets;
        int i = 0;
        for (; i + Lanes <= count; i += Lanes)
        {
            Vector512<float> w = TLanes.Load(values + (i * TLanes.Bytes));
            targets += Target<TOutliers>(w, inverses, zeros, top, step, out Vector512<float> magnitude);
            errors += magnitude;
            magnitudes = Vector512.MaxNative(magnitudes, magnitude);
        }

        if (i < count)
        {
            byte* padded = stackalloc byte[Lanes * sizeof(float)];
            Unsafe.CopyBlockUnaligned(padded, values + (i * TLanes.Bytes), (uint)((count - i) * TLanes.Bytes));
            Vector512<float> taken = Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count - i)).AsSingle();
            targets += Target<TOutliers>(TLanes.Load(padded), inverses, zeros, top, step, out Vector512<float> magnitude) & taken;
            errors += magnitude & taken;
            magnitudes = Vector512.MaxNative(magnitudes, magnitude & taken);
        }

        *next = Vector512.Sum(targets) / count;
        largest = BlockExtremes.Largest(magnitudes);
        return Vector512.Sum(errors);
    }

    // code - (w - outlier) / s, whose mean over a group is its next zero point (Badri and Shaji 2023).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Target<TOutliers>(
        Vector512<float> w, Vector512<float> inverse, Vector512<float> zero, Vector512<float> top, in Step step,
        out Vector512<float> magnitude)
        where TOutliers : struct, IOutliers
    {
        Vector512<float> rounded = Vector512.Round((w * inverse) + zero);
        Vector512<float> codes = Vector512.MinNative(Vector512.MaxNative(rounded, Vector512<float>.Zero), top);
        Vector512<float> error = w - ((codes - zero) / inverse);
        magnitude = Vector512.Abs(error);
        return codes - (TOutliers.Subtract(w, error, magnitude, step) * inverse);
    }

    private interface IOutliers
    {
        static abstract Vector512<float> Subtract(
            Vector512<float> w, Vector512<float> error, Vector512<float> magnitude, in Step step);
    }

    private readonly struct WithoutOutliers : IOutliers
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Subtract(
            Vector512<float> w, Vector512<float> error, Vector512<float> magnitude, in Step step) => w;
    }

    // The generalized soft threshold sign(e) · max(|e| - |e|^(p - 1) / beta, 0) of the same paper.
    private readonly struct WithOutliers : IOutliers
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Subtract(
            Vector512<float> w, Vector512<float> error, Vector512<float> magnitude, in Step step)
        {
            Vector512<float> powers = Vector512.Exp(Vector512.Log(magnitude) * Vector512.Create(step.Power));
            Vector512<float> shrunk = magnitude - (powers * Vector512.Create(step.InverseBeta));
            Vector512<float> outliers = Vector512.CopySign(Vector512.MaxNative(shrunk, Vector512<float>.Zero), error);
            return w - (outliers & Vector512.GreaterThan(magnitude, Vector512.Create(step.Quiet)));
        }
    }

    /// <summary>Unlike the affine rules, this one rounds after the zero point: it is no whole number.</summary>
    private readonly struct MovedThenRounded : ICodeRule
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> Codes(Vector512<float> x, Vector512<float> factor, Vector512<float> offset, in CodePass pass) =>
            pass.Clamp(Vector512.Round((x * factor) + offset));
    }
}
