using TorchAO.Kernels.Fused;
using TorchAO.KvCache;
using TorchAO.Runtime.Memory;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Fused;

/// <summary>Attention against the softmax written out in tensor arithmetic, over what the codec decodes.</summary>
public sealed class CachedAttentionTests
{
    // Batch, new tokens, past, heads, key heads, head size, window.
    public static TheoryData<int, int, int, int, int, int, int?> Shapes => new()
    {
        { 1, 1, 0, 4, 2, 6, null },
        { 1, 1, 1, 1, 1, 8, null },
        { 1, 1, 63, 4, 2, 64, null },
        { 1, 1, 64, 4, 2, 64, null },
        { 1, 1, 200, 8, 2, 128, null },
        { 2, 3, 65, 4, 4, 16, null },
        { 1, 8, 130, 6, 2, 10, null },
        { 1, 8, 0, 6, 2, 10, null },
        { 1, 1, 100, 4, 2, 32, 7 },
        { 2, 4, 100, 4, 2, 32, 70 },
        { 1, 8, 100, 4, 2, 32, 3 }, // a window within the new tokens
        { 1, 1, 1500, 8, 1, 64, null }, // few heads, long text: stretches
        { 1, 2, 1500, 8, 1, 64, 1000 },
        { 1, 5, 40, 64, 1, 34, null }, // so many rows that blocks are short
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Outputs_are_those_of_the_softmax_written_out(
        int batch, int count, int past, int heads, int keyHeads, int size, int? window)
    {
        foreach (KeyValueFormat format in Enum.GetValues<KeyValueFormat>())
        {
            using DisposeScope scope = NewDisposeScope();
            random.manual_seed(past + size);
            var codec = KeyValueCodec.Of(format, size);
            Tensor oldKeys = randn(batch, keyHeads, past + 3, size), oldValues = randn(batch, keyHeads, past + 3, size);
            IReadOnlyList<Tensor> keys = codec.Encode(oldKeys), values = codec.Encode(oldValues);
            Tensor queries = randn(batch, count, heads, size);
            Tensor newKeys = randn(batch, count, keyHeads, size), newValues = randn(batch, count, keyHeads, size);
            Tensor expected = Expected(
                queries, cat([codec.Decode(keys, ScalarType.Float32).narrow(2, 0, past), newKeys.transpose(1, 2)], 2),
                cat([codec.Decode(values, ScalarType.Float32).narrow(2, 0, past), newValues.transpose(1, 2)], 2), past, window);
            Tensor actual = full_like(queries, float.NaN);

            new CachedAttention(new AttentionShape(heads, keyHeads, size)).Run(
                new AttentionInputs(batch, count, past, window), TensorMemory.Span<float>(queries), TensorMemory.Span<float>(newKeys),
                TensorMemory.Span<float>(newValues), codec.Rows(keys, ScalarType.Float32), codec.Rows(values, ScalarType.Float32),
                TensorMemory.Span<float>(actual));

            double error = (actual - expected).abs().max().item<float>();
            Assert.True(error < 3e-6, $"{format}: error {error:g3}");
        }
    }

    [Fact]
    public void One_worker_and_several_agree_and_scratch_space_is_used_again()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(1);
        (int heads, int keyHeads, int size, int past) = (4, 1, 64, 3000);
        Tensor keys = randn(1, keyHeads, past, size), values = randn(1, keyHeads, past, size);
        Tensor query = randn(1, 1, heads, size), own = randn(1, 1, keyHeads, size);
        var attention = new CachedAttention(new AttentionShape(heads, keyHeads, size));
        Tensor[] results = [.. new[] { 1, 3, 1 }.Select(Run)];

        Assert.True(results[0].equal(results[2]).all().item<bool>(), "the same work gave other numbers the second time");
        Assert.True(allclose(results[0], results[1], 1e-5, 1e-6));

        Tensor Run(int threads)
        {
            int before = get_num_threads();
            set_num_threads(threads);
            Tensor output = empty_like(query);
            attention.Run(
                new AttentionInputs(1, 1, past), TensorMemory.Span<float>(query), TensorMemory.Span<float>(own), TensorMemory.Span<float>(own),
                StoredRows.Float(keys), StoredRows.Float(values), TensorMemory.Span<float>(output));
            set_num_threads(before);
            return output;
        }
    }

    [Fact]
    public void A_large_score_does_not_overflow_and_no_token_is_fine()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor keys = zeros(1, 1, 2, 4), values = ones(1, 1, 2, 4);
        keys[0, 0, 1].fill_(1e4);
        float[] query = [1e4f, 1e4f, 1e4f, 1e4f], output = new float[4];
        var attention = new CachedAttention(new AttentionShape(1, 1, 4));
        attention.Run(
            new AttentionInputs(1, 1, 2), query, new float[4], [9, 9, 9, 9], StoredRows.Float(keys), StoredRows.Float(values), output);

        Assert.Equal([1f, 1f, 1f, 1f], output);
        attention.Run(new AttentionInputs(1, 0, 2), [], [], [], StoredRows.Float(keys), StoredRows.Float(values), []);
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        StoredRows rows = StoredRows.Float(zeros(1, 2, 5, 4));
        var attention = new CachedAttention(new AttentionShape(4, 2, 4));
        float[] q = new float[16], kv = new float[8];
        void Run(AttentionInputs inputs, float[] queries) => attention.Run(inputs, queries, kv, kv, rows, rows, queries);
        Assert.Contains("at most 8 new tokens", Assert.Throws<ArgumentException>(() => Run(new(1, 9, 0), q)).Message, StringComparison.Ordinal);
        Assert.Contains("room for 5 tokens", Assert.Throws<ArgumentException>(() => Run(new(1, 1, 6), q)).Message, StringComparison.Ordinal);
        Assert.Contains("2 · 2 heads", Assert.Throws<ArgumentException>(() => Run(new(2, 1, 0), q)).Message, StringComparison.Ordinal);
        Assert.Contains("queries has 8", Assert.Throws<ArgumentException>(() => Run(new(1, 1, 0), kv)).Message, StringComparison.Ordinal);
        Assert.Contains(
            "whole groups", Assert.Throws<ArgumentException>(() => new CachedAttention(new AttentionShape(3, 2, 4))).Message, StringComparison.Ordinal);
    }

    // [B, T, H, D] from keys and values [B, KV, past + T, D].
    private static Tensor Expected(Tensor queries, Tensor keys, Tensor values, int past, int? window)
    {
        (long count, long heads, long size) = (queries.size(1), queries.size(2), queries.size(3));
        long shared = heads / keys.size(1);
        keys = keys.repeat_interleave(shared, 1).to(ScalarType.Float64);
        values = values.repeat_interleave(shared, 1).to(ScalarType.Float64);
        Tensor scores = queries.to(ScalarType.Float64).transpose(1, 2).reshape(-1, count, size)
            .bmm(keys.reshape(-1, past + count, size).transpose(1, 2)) / Math.Sqrt(size);
        Tensor at = arange(past, past + count).unsqueeze(1), seen = arange(0, past + count).unsqueeze(0);
        Tensor hidden = seen.gt(at);
        hidden = window is int width ? hidden.logical_or(seen.le(at - width)) : hidden;
        Tensor weights = scores.masked_fill(hidden, double.NegativeInfinity).softmax(-1);
        return weights.bmm(values.reshape(-1, past + count, size)).reshape(queries.size(0), heads, count, size).transpose(1, 2)
            .to(ScalarType.Float32);
    }
}
