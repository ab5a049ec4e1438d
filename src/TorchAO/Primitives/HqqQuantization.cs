using TorchAO.Primitives.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Half-quadratic quantization: asymmetric codes whose zero points minimize a sparse norm of the
/// error.</summary>
/// <remarks>
/// Badri and Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models". Needs no calibration data. The
/// solver runs in float32 on every device unless <see cref="HqqOptions.SolverType"/> says otherwise. torchao's
/// <c>choose_qparams_and_quantize_affine_hqq</c>.
/// </remarks>
public static class HqqQuantization
{
    private const double LargestInverseScale = 2e4;
    private const long BlockElements = 1 << 16;

    /// <summary>Chooses parameters and codes together.</summary>
    /// <param name="weight">The weight, floating point, of any shape.</param>
    /// <param name="options">How; <see langword="null"/> for the defaults.</param>
    /// <returns>Codes in the shape of the weight, uint8, and parameters in <see cref="HqqOptions.ComputeType"/>: shape
    /// <c>[elements / g, 1]</c>, or with <see cref="HqqOptions.RawOutput"/> <c>[N, K / g]</c> (axis 1) and
    /// <c>[1, elements / g]</c> (axis 0). The caller disposes all three.</returns>
    /// <exception cref="QuantizationException">The options do not fit the weight.</exception>
    public static (Tensor Codes, QParams QParams) Quantize(Tensor weight, HqqOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(weight);
        options ??= new HqqOptions();
        Check(weight, options);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        weight = weight.contiguous(); // one road, so that a strided weight gets the same bits
        double top = (1 << options.Bits) - 1;
        Tensor? w = HqqRounds.Covers(weight, options) ? null : Reshape(weight, options);
        (Tensor min, Tensor max) = w is null
            ? Extremes(weight, options)
            : (w.amin([options.Axis], keepdim: true), w.amax([options.Axis], keepdim: true));
        Tensor inverse = ((max - min).reciprocal() * top).clamp(max: LargestInverseScale);
        Tensor zero = -min * inverse;
        zero = options.Bits == 4 ? zero.round() : zero;
        if (options.Optimize)
        {
            inverse = inverse.to_type(options.SolverType);
            zero = zero.to_type(options.SolverType);
            zero = w is null
                ? HqqRounds.Solve(weight, inverse, zero, top, options)
                : Solve(w.to_type(options.SolverType), inverse, zero, top, options);
        }
        else
        {
            inverse = inverse.to_type(options.ComputeType);
            zero = zero.to_type(options.ComputeType);
        }

        Tensor codes = w is null
            ? HqqRounds.Codes(weight, inverse, zero, top)
            : ((w * inverse) + zero).round().clamp(0, top).to_type(ScalarType.Byte).reshape(weight.shape);
        QParams qparams = Finish(weight.shape, inverse.reciprocal(), zero, (top + 1) / 2, options);
        qparams.Scale.MoveToOuterDisposeScope();
        qparams.ZeroPoint!.MoveToOuterDisposeScope();
        return (codes.MoveToOuterDisposeScope(), qparams);
    }

    private static Tensor Reshape(Tensor weight, HqqOptions options)
    {
        Tensor w = weight.to_type(ScalarType.Float32);
        w = options.Axis == 1 ? w.reshape(-1, options.GroupSize) : w.reshape(options.GroupSize, -1);

        // Sums of a strided weight run in another order.
        return w.contiguous();
    }

    private static (Tensor Min, Tensor Max) Extremes(Tensor weight, HqqOptions options)
    {
        (Tensor min, Tensor max) = BlockExtremes.Find(weight, weight.numel() / options.GroupSize);
        return (min.to_type(ScalarType.Float32).reshape(-1, 1), max.to_type(ScalarType.Float32).reshape(-1, 1));
    }

    /// <summary>The reference of <see cref="HqqRounds.Solve"/>: the same by tensor arithmetic, on any device and in any type.</summary>
    internal static Tensor Solve(Tensor w, Tensor inverse, Tensor zero, double top, HqqOptions options)
    {
        double beta = options.Beta;
        float best = 1e4f;
        for (int i = 0; i < options.Iterations; i++)
        {
            using DisposeScope round = NewDisposeScope();
            Tensor next = zeros_like(zero);
            double sum = 0;
            foreach ((long start, long count) in Blocks(w, options))
            {
                using DisposeScope block = NewDisposeScope();
                int groups = 1 - options.Axis;
                sum += Improve(
                    w.narrow(groups, start, count), inverse.narrow(groups, start, count), zero.narrow(groups, start, count),
                    next.narrow(groups, start, count), beta, top, options);
            }

            zero = next.MoveToOuterDisposeScope();
            beta *= options.Kappa;
            float size = (float)(sum / w.numel());
            if (!(size < best))
            {
                break;
            }

            best = size;
        }

        return zero;
    }

    // A block's temporaries fit into the second cache, and the allocator hands the same ones out again: ten passes over a large
    // weight in one piece spend most of their time in page faults. Groups along the first dimension would be strided views.
    private static IEnumerable<(long Start, long Count)> Blocks(Tensor w, HqqOptions options)
    {
        long groups = w.size(1 - options.Axis);
        long block = options.Axis == 1 ? Math.Max(1, BlockElements / options.GroupSize) : groups;
        for (long start = 0; start < groups; start += block)
        {
            yield return (start, Math.Min(block, groups - start));
        }
    }

    /// <summary>Takes one step of the solver on some groups.</summary>
    /// <returns>The sum of the magnitudes of the error before the step.</returns>
    private static double Improve(
        Tensor w, Tensor inverse, Tensor zero, Tensor next, double beta, double top, HqqOptions options)
    {
        Tensor codes = ((w * inverse) + zero).round().clamp(0, top);
        Tensor error = w - ((codes - zero) / inverse);
        Tensor outliers = Shrink(error, beta, options.Norm);
        next.copy_((codes - ((w - outliers) * inverse)).mean([options.Axis], keepdim: true));
        return error.abs().sum(ScalarType.Float32).item<float>();
    }

    private static Tensor Shrink(Tensor x, double beta, double norm)
    {
        Tensor magnitude = x.abs();
        return x.sign() * (magnitude - (magnitude.pow(norm - 1) * (1 / beta))).clamp(min: 0);
    }

    private static QParams Finish(long[] shape, Tensor scale, Tensor zero, double middle, HqqOptions options)
    {
        if (!options.RawOutput)
        {
            Tensor values = (-zero.to_type(ScalarType.Float32) + middle) * scale.to_type(ScalarType.Float32);
            zero = values.to_type(zero.dtype);
        }
        else if (options.Axis == 1)
        {
            scale = scale.reshape(shape[0], -1);
            zero = zero.reshape(shape[0], -1);
        }

        return new QParams(
            scale.to_type(options.ComputeType, copy: true), zero.to_type(options.ComputeType, copy: true));
    }

    private static void Check(Tensor weight, HqqOptions options)
    {
        string? problem =
            options.Bits is < 1 or > 8 ? $"Bits is {options.Bits}, expected 1 to 8"
            : options.Axis is not (0 or 1) ? $"Axis is {options.Axis}, expected 0 or 1"
            : weight.numel() == 0 ? "the weight is empty"
            : options.GroupSize < 1 || weight.numel() % options.GroupSize != 0
                ? $"GroupSize is {options.GroupSize}, expected a divisor of the {weight.numel()} elements"
            : options is { RawOutput: true, Axis: 1 } && weight.numel() / options.GroupSize % weight.shape[0] != 0
                ? $"GroupSize is {options.GroupSize}, which makes groups cross the {weight.shape[0]} rows"
            : null;
        if (problem is not null)
        {
            throw new QuantizationException(
                $"Half-quadratic quantization of a weight [{string.Join(", ", weight.shape)}]: {problem}.");
        }
    }
}
