using TorchAO.Models.Llama;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama;

public sealed class QueryBlockTests
{
    public static TheoryData<int, int, int?> Texts => new()
    {
        { 0, 1, null },
        { 0, 64, 5 },
        { 7, 65, null },
        { 100, 150, null },
        { 100, 150, 5 },
        { 3, 200, 90 },
    };

    [Theory]
    [MemberData(nameof(Texts))]
    public void Masks_of_blocks_are_the_parts_of_the_whole_mask_that_see_anything(int past, int count, int? window)
    {
        using DisposeScope scope = NewDisposeScope();
        int all = past + count;
        bool[,] seen = new bool[count, all];
        long next = 0;
        foreach (QueryBlock block in QueryBlock.Of(past, count, window))
        {
            Assert.Equal(next, block.First);
            Assert.InRange(block.Count, 1, QueryBlock.Size);
            next += block.Count;
            Tensor mask = block.Mask(window, CPU);
            Assert.Equal([block.Count, block.Keys], mask.shape);
            bool[] bits = mask.data<bool>().ToArray();
            for (int i = 0; i < bits.Length; i++)
            {
                seen[block.First + (i / block.Keys), block.FirstKey + (i % block.Keys)] = bits[i];
            }
        }

        Assert.Equal(count, next);
        for (int query = 0; query < count; query++)
        {
            for (int key = 0; key < all; key++)
            {
                bool expected = key <= past + query && (window is null || key > past + query - window);
                Assert.True(expected == seen[query, key], $"query {query}, key {key}");
            }
        }
    }

    [Theory]
    [InlineData(1024, null, 64 * (4096 + 1024))]
    [InlineData(1024, 100, 64 * (99 + 64))]
    public void The_largest_mask_is_linear_in_the_text(int count, int? window, long numbers) =>
        Assert.Equal(numbers, QueryBlock.Of(4096, count, window).Max(block => block.Count * block.Keys));

    [Theory]
    [InlineData("llama2")]
    [InlineData("mistral")]
    public void Texts_of_several_blocks_give_the_logits_of_the_formulas_written_out(string family)
    {
        LlamaConfig config = SmallLlamas.Family(family) with { MaxPositions = 160 };
        using LlamaForCausalLM model = SmallLlamas.Create(config);
        using Tensor ids = SmallLlamas.Ids(150);
        double[][] expected = new NaiveLlama(model).Forward(ids.data<long>().ToArray());
        using IDisposable noGradient = no_grad();
        using var cache = new KeyValueCache(config);
        using Tensor begin = ids.narrow(1, 0, 9);
        using Tensor rest = ids.narrow(1, 9, 141);

        using Tensor whole = model.forward(ids);
        using Tensor first = model.Step(begin, cache);
        using Tensor second = model.Step(rest, cache);

        using Tensor stepped = cat([first, second], 1);
        AssertClose(expected, whole);
        AssertClose(expected, stepped);
    }

    private static void AssertClose(double[][] expected, Tensor got)
    {
        float[] numbers = got.data<float>().ToArray();
        double[] flat = [.. expected.SelectMany(row => row)];
        Assert.Equal(flat.Length, numbers.Length);
        Assert.InRange(flat.Zip(numbers, (one, other) => Math.Abs(one - other)).Max(), 0, 1e-3);
    }
}
