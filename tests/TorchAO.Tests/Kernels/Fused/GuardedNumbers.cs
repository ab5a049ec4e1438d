using System.Runtime.InteropServices;
using Xunit;

namespace TorchAO.Tests.Kernels.Fused;

/// <summary>Numbers whose last one is the last of a page, behind which reading or writing kills the process.</summary>
internal sealed unsafe class GuardedNumbers<T> : IDisposable
    where T : unmanaged
{
    private readonly nint region;
    private readonly int count;

    public GuardedNumbers(params T[] values)
    {
        count = values.Length;
        Address = (T*)GuardedMemory.End(MemoryMarshal.AsBytes(values.AsSpan()).ToArray(), out region);
    }

    public T* Address { get; }

    public Span<T> Span => new(Address, count);

    public void Dispose() => GuardedMemory.Free(region, count * sizeof(T));

    public static GuardedNumbers<T> Of(int count, Func<int, T> value) => new([.. Enumerable.Range(0, count).Select(value)]);

    /// <summary>Demands equal bits, so that NaN equals NaN and zeros have signs.</summary>
    public static void Equal(ReadOnlySpan<T> expected, ReadOnlySpan<T> actual, string what) =>
        Assert.True(
            MemoryMarshal.AsBytes(expected).SequenceEqual(MemoryMarshal.AsBytes(actual)),
            $"{what}: expected {string.Join(' ', expected.ToArray())}, got {string.Join(' ', actual.ToArray())}");
}
