namespace TorchAO.Tests.Kernels;

/// <summary>Several buffers, each of which ends where a page without access begins.</summary>
internal sealed class GuardedOperands : IDisposable
{
    private readonly List<(nint Start, nint Region, int Length)> buffers = [];

    public GuardedOperands(params IEnumerable<byte[]> contents)
    {
        foreach (byte[] content in contents)
        {
            nint start = GuardedMemory.End(content, out nint region);
            buffers.Add((start, region, content.Length));
        }
    }

    public nint this[int index] => buffers[index].Start;

    public void Dispose()
    {
        foreach ((_, nint region, int length) in buffers)
        {
            GuardedMemory.Free(region, length);
        }
    }
}
