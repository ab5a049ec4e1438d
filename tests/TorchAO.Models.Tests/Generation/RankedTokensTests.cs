using TorchAO.Models.Generation;
using Xunit;

namespace TorchAO.Models.Tests.Generation;

/// <summary>Against sorting all of them.</summary>
public sealed class RankedTokensTests
{
    public static TheoryData<int, string> Vocabularies()
    {
        var data = new TheoryData<int, string>();
        foreach (int count in (int[])[1, 2, 3, 4, 5, 17, 1000])
        {
            foreach (string kind in (string[])["random", "equal", "rising", "falling", "few values", "one heavy"])
            {
                data.Add(count, kind);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Vocabularies))]
    public void The_likeliest_that_reach_a_sum_are_those_of_the_sorted_list(int count, string kind)
    {
        double[] weights = Weights(count, kind);
        (double Weight, int Id)[] sorted = Sorted(weights);
        var tokens = new RankedTokens();
        var random = new Random(count);
        for (int turn = 0; turn < 30; turn++)
        {
            weights.CopyTo(tokens.Begin(count));
            int wanted = random.Next(count);

            // The middle of a token's share, so that rounding does not decide.
            double sum = sorted.Take(wanted).Sum(token => token.Weight) + (sorted[wanted].Weight / 2);

            int reached = tokens.Reach(sum);

            Assert.Equal(wanted + 1, reached);
            Assert.Equal(sorted[wanted].Id, tokens.At(reached - 1));
            Assert.Equal(
                sorted.Take(reached).Select(token => token.Id).Order(), Enumerable.Range(0, reached).Select(tokens.At).Order());
        }
    }

    [Theory]
    [MemberData(nameof(Vocabularies))]
    public void The_k_likeliest_are_those_of_the_sorted_list(int count, string kind)
    {
        double[] weights = Weights(count, kind);
        (double Weight, int Id)[] sorted = Sorted(weights);
        var tokens = new RankedTokens();
        foreach (int k in (int[])[1, 2, 3, (count / 2) + 1, count, count + 5])
        {
            weights.CopyTo(tokens.Begin(count));
            tokens.Keep(k);

            int kept = Math.Min(k, count);
            Assert.Equal(kept, tokens.Count);
            Assert.Equal(sorted.Take(kept).Select(token => token.Id).Order(), Enumerable.Range(0, kept).Select(tokens.At).Order());
            Assert.Equal(sorted.Take(kept).Sum(token => token.Weight), tokens.Sum(), 1e-9);
        }
    }

    [Fact]
    public void A_sum_that_none_reaches_takes_all_and_a_smaller_vocabulary_may_follow()
    {
        var tokens = new RankedTokens();
        Weights(17, "random").CopyTo(tokens.Begin(17));
        Assert.Equal(17, tokens.Reach(1e9));
        Weights(3, "rising").CopyTo(tokens.Begin(3));
        Assert.Equal(1, tokens.Reach(0.1));
        Assert.Equal(2, tokens.At(0));
    }

    private static (double Weight, int Id)[] Sorted(double[] weights) =>
        [.. weights.Select((weight, id) => (weight, id)).OrderByDescending(token => token.weight).ThenBy(token => token.id)];

    private static double[] Weights(int count, string kind)
    {
        var random = new Random(count);
        return [.. Enumerable.Range(0, count).Select(i => kind switch
        {
            "random" => random.NextDouble() + 0.01,
            "equal" => 1,
            "rising" => i + 1.0,
            "falling" => count - (double)i,
            "few values" => random.Next(1, 4),
            _ => i == count / 2 ? 1 : 1e-3,
        })];
    }
}
