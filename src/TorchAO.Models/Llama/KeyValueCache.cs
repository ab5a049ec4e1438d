using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>The keys and values of the tokens that a model has seen, so that each further token costs one step.</summary>
/// <remarks>Owns its tensors, which are as large as the longest sequence from the beginning; steps allocate nothing here.</remarks>
public sealed class KeyValueCache : IDisposable
{
    private readonly Tensor[] keys;
    private readonly Tensor[] values;

    /// <summary>Creates an empty cache.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="batch">How many sequences run side by side.</param>
    /// <param name="capacity">The longest sequence in tokens; the model's longest if absent.</param>
    /// <param name="dtype">The type of keys and values: that of the model's activations.</param>
    /// <param name="device">The device of the model.</param>
    /// <exception cref="ArgumentOutOfRangeException">The capacity is beyond the model's longest sequence.</exception>
    public KeyValueCache(
        LlamaConfig config, long batch = 1, int? capacity = null, ScalarType dtype = ScalarType.Float32, Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        Capacity = capacity ?? config.MaxPositions;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Capacity, config.MaxPositions, nameof(capacity));
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batch);
        long[] shape = [batch, config.KeyValueHeads, Capacity, config.HeadSize];
        Tensor[] Make() => [.. Enumerable.Range(0, config.Layers).Select(
            _ => zeros(shape, dtype: dtype, device: device).DetachFromDisposeScope())];
        keys = Make();
        values = Make();
    }

    /// <summary>Gets the longest sequence in tokens.</summary>
    public int Capacity { get; }

    /// <summary>Gets how many tokens are in the cache.</summary>
    public int Length { get; private set; }

    /// <summary>Gets the size of all keys and values in bytes.</summary>
    public long Bytes => keys.Concat(values).Sum(tensor => tensor.numel() * tensor.element_size());

    /// <summary>Forgets the tokens behind a length.</summary>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        Length = length;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in keys.Concat(values))
        {
            tensor.Dispose();
        }
    }

    /// <summary>Writes the keys and values <c>[B, KV, T, D]</c> of new tokens, and gets views of all <c>[B, KV, Length + T, D]</c>.</summary>
    internal (Tensor Keys, Tensor Values) Append(int layer, Tensor newKeys, Tensor newValues)
    {
        long count = newKeys.size(2);
        using Tensor keyTarget = keys[layer].narrow(2, Length, count);
        using Tensor valueTarget = values[layer].narrow(2, Length, count);
        keyTarget.copy_(newKeys);
        valueTarget.copy_(newValues);
        return (keys[layer].narrow(2, 0, Length + count), values[layer].narrow(2, 0, Length + count));
    }

    /// <summary>Counts the tokens that all layers have appended.</summary>
    internal void Advance(int count) => Length += count;
}
