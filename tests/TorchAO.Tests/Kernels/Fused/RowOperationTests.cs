using TorchAO.Kernels.Fused;
using Xunit;

namespace TorchAO.Tests.Kernels.Fused;

public sealed unsafe class RowOperationTests
{
    private delegate void Norm(float* row, float* added, float* gain, float epsilon, float* output, int length);

    private delegate void Rotation(float* head, float* cosine, float* sine, float* output, int half);

    public static TheoryData<int> Lengths => [.. Enumerable.Range(1, 70), 288];

    [Theory]
    [MemberData(nameof(Lengths))]
    public void Norms_of_all_paths_agree_alone_and_behind_an_addition(int length)
    {
        foreach (bool adds in new[] { false, true })
        {
            // Sums of squares of small whole numbers are exact; what is left is a multiplication or two.
            var random = new Random(length);
            float[] row = [.. Enumerable.Range(0, length).Select(_ => (float)random.Next(-8, 9))];
            using var added = GuardedNumbers<float>.Of(length, _ => random.Next(-8, 9));
            using var gain = GuardedNumbers<float>.Of(length, _ => random.NextSingle());
            float* addend = adds ? added.Address : null;
            (float[] expected, float[] stream) = Run(RmsNormRows.Scalar);
            foreach (Norm path in (Norm[])[RmsNormRows.Wide128, RmsNormRows.Wide256, RmsNormRows.Wide512])
            {
                (float[] actual, float[] sums) = Run(path);
                GuardedNumbers<float>.Equal(expected, actual, $"{path.Method.Name} of {length}");
                GuardedNumbers<float>.Equal(stream, sums, $"{path.Method.Name} of {length}, the stream");
            }

            (float[] Output, float[] Stream) Run(Norm path)
            {
                using var input = new GuardedNumbers<float>(row);
                using var output = GuardedNumbers<float>.Of(length, _ => float.NaN);
                path(input.Address, addend, gain.Address, 1e-5f, output.Address, length);
                return (output.Span.ToArray(), input.Span.ToArray());
            }
        }
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void Rotations_of_all_paths_agree_in_place_too(int half)
    {
        var random = new Random(half);
        float[] head = [.. Enumerable.Range(0, 2 * half).Select(_ => (float)random.Next(-8, 9))];
        using var cosine = GuardedNumbers<float>.Of(2 * half, _ => random.Next(-8, 9));
        using var sine = GuardedNumbers<float>.Of(2 * half, _ => random.Next(-8, 9));
        float[] expected = Run((x, c, s, y, h) => RotaryRows.Scalar(x, c, s, y, h));
        foreach (Rotation path in (Rotation[])[RotaryRows.Wide128, RotaryRows.Wide256, RotaryRows.Wide512])
        {
            GuardedNumbers<float>.Equal(expected, Run(path), $"{path.Method.Name} of {half} pairs");
        }

        float[] Run(Rotation path)
        {
            using var input = new GuardedNumbers<float>(head);
            using var output = GuardedNumbers<float>.Of(2 * half, _ => float.NaN);
            path(input.Address, cosine.Address, sine.Address, output.Address, half);
            path(input.Address, cosine.Address, sine.Address, input.Address, half);
            GuardedNumbers<float>.Equal(output.Span, input.Span, "in place");
            return output.Span.ToArray();
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1023)]
    [InlineData(2049)]
    public void Gates_are_those_of_the_formula(int length)
    {
        var random = new Random(length);
        using var gate = GuardedNumbers<float>.Of(length, _ => (random.NextSingle() * 40) - 20);
        using var up = GuardedNumbers<float>.Of(length, _ => (random.NextSingle() * 4) - 2);
        float[] expected = new float[length];
        GatedRows.Scalar(gate.Span, up.Span, expected);

        GatedRows.Run(gate.Span, up.Span, gate.Span);

        for (int i = 0; i < length; i++)
        {
            // e⁻ᵍ errs by a few units in the last place, and what follows by one each.
            Assert.Equal(expected[i], gate.Span[i], 1e-6f * (1 + Math.Abs(expected[i])));
        }
    }

    [Fact]
    public void Rows_go_by_one_after_the_other_and_none_is_fine()
    {
        float[] gain = [1, 2, 3], rows = [1, -2, 3, 0, 0, 0, 4, 4, 4], output = new float[9];

        RmsNormRows.Run(rows, gain, 0, output);

        double root = Math.Sqrt(14 / 3.0);
        Assert.Equal([(float)(1 / root), (float)(-4 / root), (float)(9 / root)], output[..3], Near);
        Assert.All(output[3..6], value => Assert.True(float.IsNaN(value))); // 0 / 0 without an epsilon
        Assert.Equal([1f, 2f, 3f], output[6..], Near);
        RmsNormRows.Run([], gain, 0, []);
        RotaryRows.Run([], [1, 1], [0, 0], []);

        static bool Near(float a, float b) => Math.Abs(a - b) < 1e-6;
    }

    [Fact]
    public void Lengths_that_do_not_fit_are_refused_with_what_was_expected()
    {
        float[] five = new float[5], four = new float[4], two = new float[2], three = new float[3];
        Assert.Contains("whole rows of 2", Assert.Throws<ArgumentException>(() => RmsNormRows.Run(five, two, 0, five)).Message, StringComparison.Ordinal);
        Assert.Contains("expected 4", Assert.Throws<ArgumentException>(() => RmsNormRows.Run(four, two, 0, two)).Message, StringComparison.Ordinal);
        Assert.Contains("added has 2", Assert.Throws<ArgumentException>(() => RmsNormRows.AddAndRun(four, two, two, 0, new float[4])).Message, StringComparison.Ordinal);
        Assert.Contains("sine has 2", Assert.Throws<ArgumentException>(() => RotaryRows.Run(four, four, two, four)).Message, StringComparison.Ordinal);
        Assert.Contains("cosine has 3", Assert.Throws<ArgumentException>(() => RotaryRows.Run(three, three, three, three)).Message, StringComparison.Ordinal);
        Assert.Contains("up has 4", Assert.Throws<ArgumentException>(() => GatedRows.Run(five, four, five)).Message, StringComparison.Ordinal);
        Assert.Contains("at least one", Assert.Throws<ArgumentException>(() => RmsNormRows.Run([], [], 0, [])).Message, StringComparison.Ordinal);
    }
}
