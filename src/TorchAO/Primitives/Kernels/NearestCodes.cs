using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives.Kernels;

/// <summary>Codes of the nearest value of a short table, in one pass.</summary>
/// <remarks>Every value is compared with: with sixteen lanes at once that is faster than a search.</remarks>
internal static unsafe class NearestCodes
{
    /// <summary>Finds the nearest value of a table to <c>x / s</c>, the first at a tie; where s is 0, to 0.</summary>
    /// <param name="input">Values that <see cref="BlockExtremes.Covers"/> affirms, in blocks of one piece of memory each.</param>
    /// <param name="scale">Scales, one a block, in the type of the input.</param>
    /// <param name="table">The values of the codes, rounded to the type of the input.</param>
    /// <returns>Codes in the shape of the input, uint8. The caller disposes them.</returns>
    /// <remarks>Quotients and distances are rounded to the type of the input, as <see cref="Nf4Quantization"/> rounds them.</remarks>
    public static Tensor Find(Tensor input, Tensor scale, ReadOnlySpan<float> table)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = empty(input.shape, dtype: ScalarType.Byte);
        Tensor factors = scale.to_type(ScalarType.Float32).contiguous();
        fixed (float* numbers = table)
        {
            var pass = new CodePass(input, codes, factors, null) { Table = numbers, TableLength = table.Length };
            switch (input.dtype)
            {
                case ScalarType.Float32:
                    pass.Run<NearestOf<Float32Values>>();
                    break;
                case ScalarType.BFloat16:
                    pass.Run<NearestOf<BFloat16Values>>();
                    break;
                default:
                    pass.Run<NearestOf<Float16Values>>();
                    break;
            }
        }

        GC.KeepAlive(input); // the pass works on addresses
        return codes.MoveToOuterDisposeScope();
    }

    private readonly struct NearestOf<TWork> : ICodeRule
        where TWork : struct, IFloatLanes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> Codes(Vector512<float> x, Vector512<float> factor, Vector512<float> offset, in CodePass pass)
        {
            Vector512<float> scaled = TWork.Round(x / factor);
            scaled = Vector512.ConditionalSelect(Vector512.Equals(factor, Vector512<float>.Zero), Vector512<float>.Zero, scaled);
            Vector512<int> codes = Vector512<int>.Zero;
            var least = Vector512.Create(float.PositiveInfinity);
            for (int code = 0; code < pass.TableLength; code++)
            {
                Vector512<float> distance = Vector512.Abs(TWork.Round(scaled - Vector512.Create(pass.Table[code])));
                Vector512<int> nearer = Vector512.LessThan(distance, least).AsInt32();
                codes = Vector512.ConditionalSelect(nearer, Vector512.Create(code), codes);
                least = Vector512.MinNative(distance, least);
            }

            return codes;
        }
    }
}
