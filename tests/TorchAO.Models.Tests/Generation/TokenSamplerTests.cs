using TorchAO.Models.Generation;
using Xunit;

namespace TorchAO.Models.Tests.Generation;

public sealed class TokenSamplerTests
{
    private static readonly float[] Logits = [.. new[] { 0.1, 0.4, 0.2, 0.3 }.Select(p => (float)Math.Log(p))];

    [Fact]
    public void Without_temperature_the_likeliest_token_wins_and_of_equals_the_lower() =>
        Assert.Equal(1, Sampler(new()).Sample([0, 5, 5, 1], []));

    [Theory]
    [InlineData(1.0, null, 1.0, new[] { 0.1, 0.4, 0.2, 0.3 })]
    [InlineData(1.0, 2, 1.0, new[] { 0, 4 / 7.0, 0, 3 / 7.0 })]
    [InlineData(1.0, null, 0.65, new[] { 0, 4 / 7.0, 0, 3 / 7.0 })]
    [InlineData(0.5, null, 1.0, new[] { 1 / 30.0, 16 / 30.0, 4 / 30.0, 9 / 30.0 })]
    public void Samples_follow_the_distribution_that_is_left(double temperature, int? topK, double topP, double[] expected)
    {
        const int Draws = 20_000;
        TokenSampler sampler = Sampler(new() { Temperature = temperature, TopK = topK, TopP = topP, Seed = 5 });
        int[] counts = new int[Logits.Length];
        for (int i = 0; i < Draws; i++)
        {
            counts[sampler.Sample((float[])Logits.Clone(), [])]++;
        }

        for (int i = 0; i < counts.Length; i++)
        {
            // Four standard deviations of a binomial count; nothing at all where the probability is 0.
            double bound = 4 * Math.Sqrt(Draws * expected[i] * (1 - expected[i]));
            Assert.InRange(counts[i], (Draws * expected[i]) - bound, (Draws * expected[i]) + bound);
        }
    }

    [Fact]
    public void Zeros_of_either_sign_are_equals_and_no_logit_is_refused()
    {
        Assert.Equal(1, Sampler(new()).Sample([-1, -0f, 0f, -2], []));
        Assert.Contains("no logits", Assert.Throws<ArgumentException>(() => Sampler(new()).Sample([], [])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_penalty_divides_positive_logits_and_multiplies_negative_ones_once_a_token()
    {
        float[] logits = [2, -2, 1, 0];

        Sampler(new() { RepetitionPenalty = 2 }).Sample(logits, [0, 1, 1, 3, 99]);

        Assert.Equal([1f, -4f, 1f, 0f], logits);
    }

    [Fact]
    public void A_logit_that_is_no_number_is_refused_by_its_token()
    {
        var error = Assert.Throws<ArgumentException>(() => Sampler(new()).Sample([1, float.NaN], []));

        Assert.Contains("token 1", error.Message, StringComparison.Ordinal);
    }

    private static TokenSampler Sampler(GenerationOptions options) => new(options);
}
