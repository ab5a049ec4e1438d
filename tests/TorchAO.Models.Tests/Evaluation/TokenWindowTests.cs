using TorchAO.Models.Evaluation;
using Xunit;

namespace TorchAO.Models.Tests.Evaluation;

public sealed class TokenWindowTests
{
    [Theory]
    [InlineData(1, 8, 4)]
    [InlineData(2, 8, 4)]
    [InlineData(8, 8, 4)]
    [InlineData(9, 8, 4)]
    [InlineData(12, 8, 4)]
    [InlineData(100, 8, 3)]
    [InlineData(100, 8, 7)]
    [InlineData(100, 2, 1)]
    public void Sliding_scores_each_id_but_the_first_once_and_with_all_the_context_there_is(int count, int length, int stride)
    {
        int[] text = [.. Enumerable.Range(1000, count)];
        TokenWindow[] windows = [.. TokenWindow.Slide(text, length, stride)];

        Assert.Equal(text.Skip(1), windows.SelectMany(window => window.Ids.Skip(window.FirstScored)));
        Assert.All(windows, window => Assert.InRange(window.Ids.Count, 2, length));
        Assert.All(windows, window => Assert.True(
            window.FirstScored >= Math.Min(length - stride, window.Ids[window.FirstScored] - 1000), $"{window.FirstScored}"));
    }

    [Fact]
    public void Documents_are_cut_and_those_without_a_prediction_left_out()
    {
        TokenWindow[] windows = [.. TokenWindow.OfDocuments([[1, 2, 3, 4], [1], [], [5, 6]], 3)];
        Assert.Equal([[1, 2, 3], [5, 6]], windows.Select(window => window.Ids.ToArray()));
        Assert.Equal(3, windows.Sum(window => window.Scored));
    }

    [Fact]
    public void A_stride_that_leaves_no_context_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => TokenWindow.Slide([1, 2, 3], 4, 4));
}
