using TorchAO.Kernels.Fused;
using Xunit;

namespace TorchAO.Tests.Kernels.Fused;

/// <summary>Small whole numbers: every partial sum is exact, so that paths agree to the bit whatever their order.</summary>
public sealed unsafe class AttentionRowsTests
{
    public static TheoryData<int> Sizes => [.. Enumerable.Range(1, 81), 128];

    [Theory]
    [MemberData(nameof(Sizes))]
    public void All_paths_give_the_scores_of_the_reference_and_read_nothing_behind_the_rows(int size)
    {
        for (int count = 0; count <= 9; count++)
        {
            int stride = size + (count % 3);
            var random = new Random((100 * size) + count);
            using var query = GuardedNumbers<float>.Of(size, _ => random.Next(-8, 9));
            using var keys = GuardedNumbers<float>.Of(Math.Max(0, ((count - 1) * stride) + size), _ => random.Next(-8, 9));
            using var expected = GuardedNumbers<float>.Of(count, _ => float.NaN);
            using var actual = GuardedNumbers<float>.Of(count, _ => float.NaN);
            AttentionRows.ScalarScores(query.Address, keys.Address, stride, count, size, 0.5f, expected.Address);

            AttentionRows.Scores128(query.Address, keys.Address, stride, count, size, 0.5f, actual.Address);
            GuardedNumbers<float>.Equal(expected.Span, actual.Span, $"128, {count} keys of {size}");
            AttentionRows.Scores256(query.Address, keys.Address, stride, count, size, 0.5f, actual.Address);
            GuardedNumbers<float>.Equal(expected.Span, actual.Span, $"256, {count} keys of {size}");
            AttentionRows.Scores512(query.Address, keys.Address, stride, count, size, 0.5f, actual.Address);
            GuardedNumbers<float>.Equal(expected.Span, actual.Span, $"512, {count} keys of {size}");
            AttentionRows.BestScores(query.Address, keys.Address, stride, count, size, 0.5f, actual.Address);
            GuardedNumbers<float>.Equal(expected.Span, actual.Span, $"best, {count} keys of {size}");
        }
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void All_paths_give_the_sums_of_the_reference_and_read_nothing_behind_the_rows(int size)
    {
        for (int count = 0; count <= 5; count++)
        {
            int stride = size + (count % 3);
            var random = new Random((100 * size) + count);
            using var weights = GuardedNumbers<float>.Of(count, _ => random.Next(-8, 9));
            using var values = GuardedNumbers<float>.Of(Math.Max(0, ((count - 1) * stride) + size), _ => random.Next(-8, 9));
            float[] begin = [.. Enumerable.Range(0, size).Select(_ => (float)random.Next(-8, 9))];
            using var expected = new GuardedNumbers<float>(begin);
            AttentionRows.ScalarSum(weights.Address, values.Address, stride, count, size, expected.Address);

            using var w128 = new GuardedNumbers<float>(begin);
            AttentionRows.Sum128(weights.Address, values.Address, stride, count, size, w128.Address);
            GuardedNumbers<float>.Equal(expected.Span, w128.Span, $"128, {count} values of {size}");
            using var w256 = new GuardedNumbers<float>(begin);
            AttentionRows.Sum256(weights.Address, values.Address, stride, count, size, w256.Address);
            GuardedNumbers<float>.Equal(expected.Span, w256.Span, $"256, {count} values of {size}");
            using var w512 = new GuardedNumbers<float>(begin);
            AttentionRows.Sum512(weights.Address, values.Address, stride, count, size, w512.Address);
            GuardedNumbers<float>.Equal(expected.Span, w512.Span, $"512, {count} values of {size}");
            using var best = new GuardedNumbers<float>(begin);
            AttentionRows.BestSum(weights.Address, values.Address, stride, count, size, best.Address);
            GuardedNumbers<float>.Equal(expected.Span, best.Span, $"best, {count} values of {size}");
        }
    }
}
