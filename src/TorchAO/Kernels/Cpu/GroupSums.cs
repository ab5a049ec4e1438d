using System.Runtime.CompilerServices;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TorchAO.Kernels.Cpu;

/// <summary>Sums of the activations of each group, which is what a group's zero point multiplies.</summary>
internal static unsafe class GroupSums
{
    /// <summary>Computes <c>sum[m, g] = Σ x[m, k]</c> over the input features k of group g.</summary>
    /// <param name="input">Activations in float32, <c>[M, K]</c>, or <c>[M, more]</c> where rows are spread over the cache.</param>
    /// <param name="problem">The sizes.</param>
    /// <returns>float32 <c>[M, K / group]</c>. The caller disposes it.</returns>
    public static Tensor Of(Tensor input, CpuProblem problem)
    {
        int groups = problem.K / problem.GroupSize;
        long stride = input.size(1);
        Tensor sums = empty(problem.M, groups, dtype: ScalarType.Float32);
        float* from = TensorMemory.Address<float>(input);
        float* to = TensorMemory.Address<float>(sums);
        for (long i = 0; i < problem.M; i++)
        {
            for (int g = 0; g < groups; g++)
            {
                var group = new ReadOnlySpan<float>(from + (i * stride) + ((long)g * problem.GroupSize), problem.GroupSize);
                to[(i * groups) + g] = TensorPrimitives.Sum(group);
            }
        }

        return sums;
    }

    /// <summary>Adds <c>Σ_g zero_point[g] · sum[m, g]</c> to each of m results.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(float* zeroPoints, float* sums, int groups, int m, float* y)
    {
        var zeros = new ReadOnlySpan<float>(zeroPoints, groups);
        for (int i = 0; i < m; i++, sums += groups)
        {
            y[i] += TensorPrimitives.Dot(zeros, new ReadOnlySpan<float>(sums, groups));
        }
    }
}
