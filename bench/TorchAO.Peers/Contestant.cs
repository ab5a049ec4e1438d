using static TorchSharp.torch;

namespace TorchAO.Peers;

/// <summary>One way to multiply activations <c>[M, K]</c> by a weight <c>[N, K]</c>, transposed.</summary>
/// <remarks>
/// Each holds two copies of its weight. In its turn the first copy is multiplied untimed, which wakes the threads and loads the
/// code; the product with the second, which nothing has touched since memory was swept, is timed.
/// </remarks>
internal abstract class Contestant(string name, Arithmetic arithmetic, long bytes) : IDisposable
{
    /// <summary>How many copies of the weight each contestant holds.</summary>
    public const int Copies = 2;

    /// <summary>Gets the name: whose, which operator or config, which options.</summary>
    public string Name { get; } = name;

    /// <summary>Gets what happens to the activations.</summary>
    public Arithmetic Arithmetic { get; } = arithmetic;

    /// <summary>Gets the bytes of one copy of the weight as this contestant stores it, scales included.</summary>
    public long Bytes { get; } = bytes;

    /// <summary>Takes the activations that following calls multiply, in place of those before.</summary>
    /// <param name="input">float32 <c>[M, K]</c>; stays the caller's.</param>
    public abstract void Prepare(Tensor input);

    /// <summary>Lets a thread pool of its own begin to wait for work.</summary>
    public virtual void Wake()
    {
    }

    /// <summary>Sends a thread pool of its own to sleep, so that it takes no time from the next contestant.</summary>
    public virtual void Rest()
    {
    }

    /// <summary>Multiplies once; what is measured.</summary>
    public abstract void Multiply(int copy);

    /// <summary>Multiplies once more and gives the product, float32 <c>[M, N]</c>. The caller disposes it.</summary>
    public abstract Tensor Result();

    /// <inheritdoc/>
    public abstract void Dispose();
}
