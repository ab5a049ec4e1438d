using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Primitives.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Affine codes in one pass, with the bits of the tensor arithmetic of <see cref="AffineQuantization"/>.</summary>
/// <remarks>Each step that the tensor arithmetic rounds to a narrow type is rounded to it here, in registers.</remarks>
internal static class BlockCodes
{
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
        var pass = new CodePass(input, codes, factors, offsets) { Min = (float)scheme.Target.Min, Max = (float)scheme.Target.Max };
        switch (work)
        {
            case ScalarType.Float32:
                Run<Float32Values>(pass, isByValue, offsets is not null);
                break;
            case ScalarType.BFloat16:
                Run<BFloat16Values>(pass, isByValue, offsets is not null);
                break;
            default:
                Run<Float16Values>(pass, isByValue, offsets is not null);
                break;
        }

        GC.KeepAlive(input); // the pass works on addresses
        return codes.MoveToOuterDisposeScope();
    }

    /// <summary>Computes <c>clamp(round(x / s))</c> in float32.</summary>
    /// <param name="input">Values that <see cref="BlockExtremes.Covers"/> affirms, in blocks of one piece of memory each.</param>
    /// <param name="scale">Scales, float32, contiguous, one a block.</param>
    /// <param name="target">The codes.</param>
    /// <returns>Codes in the shape of the input. The caller disposes them.</returns>
    public static Tensor Divide(Tensor input, Tensor scale, QuantizedType target)
    {
        Tensor codes = empty(input.shape, dtype: target.Storage);
        new CodePass(input, codes, scale, null) { Min = (float)target.Min, Max = (float)target.Max }.Run<FromOrigin<Float32Values>>();
        GC.KeepAlive(input); // the pass works on addresses
        GC.KeepAlive(scale);
        return codes;
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

    private static void Run<TWork>(in CodePass pass, bool isByValue, bool hasOffsets)
        where TWork : struct, IFloatLanes
    {
        if (isByValue)
        {
            pass.Run<FromOrigin<TWork>>();
        }
        else if (hasOffsets)
        {
            pass.Run<ScaledAndMoved<TWork>>();
        }
        else
        {
            pass.Run<Scaled<TWork>>();
        }
    }

    /// <summary><c>clamp(round(x · (1 / s)))</c>.</summary>
    private readonly struct Scaled<TWork> : ICodeRule
        where TWork : struct, IFloatLanes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> Codes(Vector512<float> x, Vector512<float> factor, Vector512<float> offset, in CodePass pass) =>
            pass.Clamp(Vector512.Round(TWork.Round(x * factor)));
    }

    /// <summary><c>clamp(round(x · (1 / s)) + z)</c>.</summary>
    private readonly struct ScaledAndMoved<TWork> : ICodeRule
        where TWork : struct, IFloatLanes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> Codes(Vector512<float> x, Vector512<float> factor, Vector512<float> offset, in CodePass pass) =>
            pass.Clamp(TWork.Round(Vector512.Round(TWork.Round(x * factor)) + offset));
    }

    /// <summary><c>clamp(round((x − origin) / s))</c>.</summary>
    private readonly struct FromOrigin<TWork> : ICodeRule
        where TWork : struct, IFloatLanes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> Codes(Vector512<float> x, Vector512<float> factor, Vector512<float> offset, in CodePass pass) =>
            pass.Clamp(Vector512.Round(TWork.Round(TWork.Round(x - offset) / factor)));
    }
}
