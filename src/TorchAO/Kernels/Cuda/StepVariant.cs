using System.Collections.Concurrent;
using TorchAO.Runtime.Cuda;

namespace TorchAO.Kernels.Cuda;

/// <summary>What <c>step.cu</c> is compiled for, and how its shared memory is laid out then.</summary>
/// <param name="Product">What all products have in common. Its stages hold the chunks of all warps side by side.</param>
/// <param name="Flight">Stages that are on their way at once.</param>
/// <param name="Attention">The options of attention.</param>
internal sealed record StepVariant(GemvVariant Product, int Flight, string Attention)
{
    // As in step_rings.cuh.
    private const int SumRooms = 6;

    private static readonly ConcurrentDictionary<StepVariant, CudaKernel> Kernels = new();

    private GemvBlocking Blocking => Product.Blocking;

    /// <summary>Gets the threads of a block: those of the computing warps, of the one that finishes and of the one that copies.</summary>
    public int Threads => Product.Threads + 64;

    /// <summary>Gets the bytes of shared memory of a block.</summary>
    /// <param name="longestRow">The most input features of a product.</param>
    /// <param name="attentionBytes">What attention takes.</param>
    public int SharedBytes(int longestRow, int attentionBytes)
    {
        int sums = SumRooms * Blocking.Warps * Product.RowsOfTile * sizeof(float);
        return (Blocking.Stages * StageBytes()) + sums + Math.Max(Product.RoomBytes(longestRow, 1), attentionBytes + Product.ZeroBytes);
    }

    /// <summary>Gets the kernel; compiled at its first launch.</summary>
    public CudaKernel Kernel() => Kernels.GetOrAdd(this, static variant => DeviceKernels.Kernel("step.cu", "step", variant.Options()));

    /// <summary>Gets the options of the compiler.</summary>
    public string[] Options() =>
        [.. Product.Options().Where(option => !option.StartsWith("-DSINGLE", StringComparison.Ordinal)), $"-DFLIGHT={Flight}", .. Attention.Split(' ')];

    private int StageBytes()
    {
        int pitch = (Blocking.Warps * Blocking.RowBytes) + 64;
        int ofRow = Product.ScaleRowBytes == 0 ? 0 : (Blocking.Warps * Product.ScaleRowBytes) + 16;
        return Product.RowsOfTile * (pitch + (ofRow * (Product.ZeroPoint == CudaZeroPoint.Value ? 2 : 1)));
    }
}
