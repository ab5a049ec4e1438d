using static TorchSharp.torch;

namespace TorchAO.Tests;

/// <summary>Counts the tensors of the process that somebody still holds.</summary>
internal static class LiveTensors
{
    /// <summary>Counts after what other tests dropped without disposing is gone, so that it cannot go in the middle of a count.</summary>
    public static long Count()
    {
#pragma warning disable RS0030 // banned in the product; here garbage is what must not be counted
        GC.Collect();
        GC.WaitForPendingFinalizers();
#pragma warning restore RS0030
        return Tensor.TotalCount;
    }
}
