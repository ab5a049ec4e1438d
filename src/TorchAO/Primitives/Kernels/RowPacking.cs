using System.Runtime.CompilerServices;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives.Kernels;

/// <summary>Packs rows of codes on all workers, with no temporary of the size of the weight.</summary>
internal static unsafe class RowPacking
{
    private const long BytesPerWorker = 1 << 15;

    /// <summary>Says whether codes can be read here.</summary>
    public static bool Covers(Tensor codes) =>
        codes.device_type == DeviceType.CPU && codes.dtype == ScalarType.Byte && codes.is_contiguous() && codes.numel() > 0;

    /// <summary>Packs.</summary>
    /// <param name="codes">Codes <c>[N, K]</c> that <see cref="Covers"/> affirms.</param>
    /// <param name="rowBytes">Bytes of a packed row.</param>
    /// <param name="packer">Packs a row.</param>
    /// <returns>Bytes <c>[N, rowBytes]</c>. The caller disposes them.</returns>
    public static Tensor Run<TPacker>(Tensor codes, long rowBytes, TPacker packer)
        where TPacker : struct, IRowPacker
    {
        (long n, long k) = (codes.size(0), codes.size(1));
        Tensor packed = empty([n, rowBytes], dtype: ScalarType.Byte);
        var job = new Job<TPacker>(
            TensorMemory.Address<byte>(codes), TensorMemory.Address<byte>(packed), k, rowBytes, packer);
        ParallelRows.Run(n, Math.Max(1, BytesPerWorker / k), job);
        GC.KeepAlive(codes); // the job reads it by address
        return packed;
    }

    private readonly struct Job<TPacker>(byte* codes, byte* packed, long k, long rowBytes, TPacker packer) : IRowJob
        where TPacker : struct, IRowPacker
    {
        // A model is quantized once: there would be no time to notice that this is hot.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long begin, long end)
        {
            for (long row = begin; row < end; row++)
            {
                packer.Pack(codes + (row * k), packed + (row * rowBytes));
            }
        }
    }
}
