using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

public static partial class AffineQuantization
{
    /// <summary>Rounds values to the grid and back: what a quantized tensor would hold, in the type of the
    /// input.</summary>
    /// <param name="input">Values in float32, float16 or bfloat16.</param>
    /// <param name="blockSize">The blocks that the parameters were chosen for.</param>
    /// <param name="qparams">One scale (and zero point) for each block; they get no gradient.</param>
    /// <param name="scheme">The codes and the domain of the zero point.</param>
    /// <param name="clipGradient">Whether values outside the range of the codes get no gradient. Default: they keep it,
    /// as in torchao, whose mask is taken after clamping.</param>
    /// <returns>Values in the shape and type of the input, with a straight-through gradient: dy/dx is 1, or 0 where
    /// <paramref name="clipGradient"/> cuts it. The caller disposes it.</returns>
    /// <remarks>Bengio et al. 2013 (arXiv:1308.3432), straight-through estimator.</remarks>
    /// <exception cref="QuantizationException">Types, blocks or parameters do not fit.</exception>
    public static Tensor FakeQuantize(
        Tensor input,
        IReadOnlyList<long> blockSize,
        QParams qparams,
        AffineScheme scheme,
        bool clipGradient = false)
    {
        ArgumentNullException.ThrowIfNull(input);
        using DisposeScope scope = NewDisposeScope();
        (Tensor values, Tensor mask) = Round(input, blockSize, qparams, scheme, clipGradient);
        Tensor result = input.requires_grad && is_grad_enabled()
            ? StraightThroughFunction.apply(input, values, mask)
            : values;
        return result.MoveToOuterDisposeScope();
    }

    /// <summary>Rounds values to the grid and back, and says where the gradient passes.</summary>
    /// <param name="input">Values in float32, float16 or bfloat16.</param>
    /// <param name="blockSize">The blocks that the parameters were chosen for.</param>
    /// <param name="qparams">One scale (and zero point) for each block.</param>
    /// <param name="scheme">The codes and the domain of the zero point.</param>
    /// <param name="clipGradient">Whether the mask is false outside the range of the codes. Default: it is true
    /// wherever the clamped code lies in the range, as in torchao: everywhere but at NaN.</param>
    /// <returns>Values and a boolean mask, both in the shape of the input, without gradient. The caller disposes them.
    /// </returns>
    /// <exception cref="QuantizationException">Types, blocks or parameters do not fit.</exception>
    public static (Tensor Values, Tensor Mask) FakeQuantizeWithMask(
        Tensor input,
        IReadOnlyList<long> blockSize,
        QParams qparams,
        AffineScheme scheme,
        bool clipGradient = false)
    {
        ArgumentNullException.ThrowIfNull(input);
        using DisposeScope scope = NewDisposeScope();
        (Tensor values, Tensor mask) = Round(input, blockSize, qparams, scheme, clipGradient);
        return (values.MoveToOuterDisposeScope(), mask.MoveToOuterDisposeScope());
    }

    private static (Tensor Values, Tensor Mask) Round(
        Tensor input, IReadOnlyList<long> blockSize, QParams qparams, AffineScheme scheme, bool clipGradient)
    {
        using IDisposable noGrad = no_grad();
        CheckValues(input);
        (BlockLayout layout, Tensor scale, Tensor? zero) = Align(input.shape, blockSize, qparams, scheme);
        Tensor codes = Unclamped(input, layout, scale, zero, scheme);
        Tensor clamped = codes.clamp(scheme.Target.Min, scheme.Target.Max);
        Tensor judged = clipGradient ? codes : clamped;
        Tensor mask = (judged >= scheme.Target.Min).logical_and(judged <= scheme.Target.Max);
        if (scheme.Target.IsFloat)
        {
            clamped = clamped.to_type(scheme.Target.Storage).to_type(input.dtype);
        }

        return (Values(clamped, blockSize, qparams, scheme, input.dtype), mask);
    }
}
