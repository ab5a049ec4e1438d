using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

/// <summary>Weights in every type that a weight may have, with every kind of number and every remainder of vectors.</summary>
internal static class SpecialWeights
{
    private static readonly ScalarType[] Types = [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16];

    // Rows, groups in a row, values in a group: whole vectors, remainders of one and of fifteen, less than a vector, and runs that
    // workers share.
    private static readonly (long Rows, long Groups, long Length)[] Shapes =
    [
        (3, 4, 32), (2, 3, 16), (5, 1, 17), (4, 2, 31), (7, 3, 2), (6, 1, 9), (2, 1, 70001), (1, 2, 32768), (300, 4, 64),
    ];

    /// <summary>Makes them: each weight has a constant group, one of zeros, and among its normal values ties, the outermost
    /// numbers of its type and what is not finite.</summary>
    public static IEnumerable<(Tensor X, long[] Block)> All()
    {
        foreach ((long rows, long groups, long length) in Shapes)
        {
            foreach (ScalarType type in Types)
            {
                random.manual_seed(rows + length);
                using DisposeScope scope = NewDisposeScope();
                Tensor x = randn(rows * groups, length) * exp(randn(rows * groups, 1) * 4);
                if (rows * groups > 5)
                {
                    x[0] = zeros(length);
                    x[1] = full([length], 1.5f);
                    x[2] = randint(-7, 8, [length]) + 0.5f;
                    x[3, 0] = 3e38f;
                    x[3, 1] = -float.Epsilon;
                    x[4, 0] = float.PositiveInfinity;
                    x[4, 1] = float.NegativeInfinity;
                    x[5, 1] = float.NaN;
                }

                yield return (x.reshape(rows, groups * length).to_type(type), [1, length]);
            }
        }
    }
}
