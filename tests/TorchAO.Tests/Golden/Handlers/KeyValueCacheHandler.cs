using TorchAO.KvCache;
using TorchAO.Models.Llama;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>AffineQuantizedKVCache: what each update gives back, and what is stored at the end.</summary>
internal sealed class KeyValueCacheHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => recorded.Area == "I" && recorded.Calls("AffineQuantizedKVCache.update");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        int capacity = recorded.Int("max_seq_length");
        var config = new LlamaConfig
        {
            VocabSize = 1,
            HiddenSize = recorded.Int("n_heads") * recorded.Int("head_dim"),
            IntermediateSize = 1,
            Layers = 1,
            Heads = recorded.Int("n_heads"),
            KeyValueHeads = recorded.Int("n_heads"),
            HeadSize = recorded.Int("head_dim"),
            MaxPositions = capacity,
        };
        using var cache = new KeyValueCache(
            config, recorded.Int("max_batch_size"), dtype: run.Input("k0").dtype, format: KeyValueFormat.Int8);
        for (int i = 0; recorded.Inputs.ContainsKey($"k{i}"); i++)
        {
            // Ours are appended; the recorded positions go on where the cache ends.
            Xunit.Assert.Equal(cache.Length, run.Input($"input_pos{i}")[0].item<long>());
            Tensor newKeys = run.Input($"k{i}");
            (Tensor keys, Tensor values) = cache.Append(0, newKeys, run.Input($"v{i}"));
            cache.Advance((int)newKeys.size(2));
            run.Expect($"k_out{i}", Pad(keys, capacity, 0));
            run.Expect($"v_out{i}", Pad(values, capacity, 0));
        }

        (IReadOnlyList<Tensor> storedKeys, IReadOnlyList<Tensor> storedValues) = cache.Stored(0);
        run.Expect("k_cache", storedKeys[0]);
        run.Expect("v_cache", storedValues[0]);

        // Where no token was written torchao has scales of one.
        run.Expect("k_cache_scale", Pad(storedKeys[1].narrow(2, 0, cache.Length), capacity, 1));
        run.Expect("v_cache_scale", Pad(storedValues[1].narrow(2, 0, cache.Length), capacity, 1));
    }

    private static Tensor Pad(Tensor rows, int capacity, double value) =>
        nn.functional.pad(rows, [0, 0, 0, capacity - rows.size(2)], value: value);
}
