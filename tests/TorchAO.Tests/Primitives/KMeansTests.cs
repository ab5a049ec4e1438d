using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

public sealed class KMeansTests
{
    [Fact]
    public void As_many_entries_as_different_numbers_are_these_numbers()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor numbers = tensor(new float[] { 3, -1, 3, 0.5f, -1, 7 }).reshape(-1, 1);

        float[] entries = KMeans.Fit(numbers, 4).data<float>().ToArray();

        Assert.Equal([3, -1, 7, 0.5f], entries); // the first number, then each time the farthest
    }

    [Fact]
    public void Numbers_and_vectors_go_the_same_way()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(5);
        Tensor numbers = randn(3000, 1);
        Tensor flat = cat([numbers, zeros(3000, 1)], 1);

        Tensor ofNumbers = KMeans.Fit(numbers, 12);
        Tensor ofVectors = KMeans.Fit(flat, 12);

        Assert.True(allclose(ofNumbers, ofVectors.narrow(1, 0, 1), 1e-4, 1e-4));
    }

    [Fact]
    public void Clusters_are_found_and_entries_without_members_stay()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(6);
        Tensor centers = tensor(new float[,] { { 10, 0, 0 }, { 0, 10, 0 }, { 0, 0, 10 } });
        Tensor vectors = cat([.. Enumerable.Range(0, 3).Select(i => centers[i] + (randn(200, 3) * 0.1))]);

        Tensor entries = KMeans.Fit(vectors, 3);
        Tensor distances = cdist(centers, entries).amin([1]);

        Assert.True((distances < 0.05).all().item<bool>());
        Tensor same = KMeans.Fit(ones(5, 2), 4);
        Assert.True(same.eq(1).all().item<bool>());
    }

    [Fact]
    public void Nothing_to_fit_is_an_error()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Contains("[0, 2]", Assert.Throws<QuantizationException>(() => KMeans.Fit(ones(0, 2), 4)).Message, StringComparison.Ordinal);
        Assert.Contains("0 entries", Assert.Throws<QuantizationException>(() => KMeans.Fit(ones(4, 2), 0)).Message, StringComparison.Ordinal);
        Assert.Contains(
            "512 entries", Assert.Throws<QuantizationException>(() => CodebookQuantization.Nearest(ones(4, 2), ones(512, 2))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_block_of_negative_numbers_is_not_lost()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = -rand(4, 64) - 0.5;
        Assert.True((CodebookQuantization.ChooseScale(weight, isScalar: true, 64) > 0.5).all().item<bool>());
    }
}
