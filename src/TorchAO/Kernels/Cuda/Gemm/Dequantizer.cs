using System.Collections.Concurrent;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>Launches <c>dequantize.cu</c>: the values of a stored weight in one pass, bit for bit those of its Dequantize.</summary>
internal static class Dequantizer
{
    private const int Threads = 128;

    private static readonly ConcurrentDictionary<(ScalarType Type, int Bits, CodeLayout Layout, CodeValue Value), CudaKernel> Kernels = new();

    /// <summary>Computes the values.</summary>
    /// <param name="weight">The weight.</param>
    /// <param name="n">Its rows.</param>
    /// <param name="k">Its columns.</param>
    /// <param name="type">The type of the result: bfloat16, float16 or float32.</param>
    /// <returns>Values <c>[N, K]</c>. The caller disposes them.</returns>
    public static Tensor Run(StoredCodes weight, long n, long k, ScalarType type)
    {
        Tensor values = empty([n, k], dtype: type, device: weight.Codes.device);
        int group = checked((int)(k / weight.Scale.size(1)));
        var arguments = new Arguments
        {
            Codes = TensorMemory.DeviceAddress(weight.Codes),
            Scale = TensorMemory.DeviceAddress(weight.Scale),
            Zero = weight.ZeroPoint is { } zero ? TensorMemory.DeviceAddress(zero) : 0,
            Codebook = weight.Codebook is { } codebook ? TensorMemory.DeviceAddress(codebook) : 0,
            Values = TensorMemory.DeviceAddress(values),
            N = checked((int)n),
            K = checked((int)k),
            RowBytes = checked((int)weight.Codes.size(1)),
            Group = group,
            ScaleStride = weight.ScaleStride,
            ScaleType = weight.Scale.dtype == ScalarType.Byte ? (int)CudaNumber.Exponent : (int)CudaNumbers.Of(weight.Scale.dtype),
            ZeroKind = (int)weight.ZeroKind,
            ZeroType = weight.ZeroKind == CudaZeroPoint.Value ? (int)CudaNumbers.Of(weight.ZeroPoint!.dtype) : 0,
            EntryLength = weight.Codebook is { } entries ? checked((int)entries.shape[^1]) : 0,
            GroupShift = BitOperations.IsPow2(group) ? BitOperations.Log2((uint)group) : -1,
        };
        CudaKernel kernel = Kernels.GetOrAdd((type, weight.Bits, weight.Layout, weight.Value), static key => DeviceKernels.Kernel(
            "Gemm/dequantize.cu", "dequantize", $"-DOUT={(int)CudaNumbers.Of(key.Type)}", $"-DBITS={key.Bits}",
            $"-DLAYOUT={(int)key.Layout}", $"-DVALUE={(int)key.Value}"));
        Launch(kernel, DeviceKernels.StreamOf(values), arguments, weight);
        GC.KeepAlive(weight); // the addresses are its tensors'
        return values;
    }

    // A table is a part of the kernel's struct, as long as there are codes; what a format's has beyond repeats.
    private static void Launch(CudaKernel kernel, CudaStream stream, in Arguments arguments, StoredCodes weight)
    {
        switch (weight.Value == CodeValue.Table ? weight.Bits : 0)
        {
            case 0:
                kernel.Launch(stream, arguments, arguments.N, Threads);
                break;
            case 2:
                Launch<Table4>(kernel, stream, arguments, weight.Table);
                break;
            case 3:
                Launch<Table8>(kernel, stream, arguments, weight.Table);
                break;
            case 4:
                Launch<Table16>(kernel, stream, arguments, weight.Table);
                break;
            case 5:
                Launch<Table32>(kernel, stream, arguments, weight.Table);
                break;
            case 6:
                Launch<Table64>(kernel, stream, arguments, weight.Table);
                break;
            case 7:
                Launch<Table128>(kernel, stream, arguments, weight.Table);
                break;
            case 8:
                Launch<Table256>(kernel, stream, arguments, weight.Table);
                break;
            default:
                throw new ArgumentException($"Tables of codes of {weight.Bits} bits are not made, expected 2 to 8 bits; add one here.", nameof(weight));
        }
    }

    private static void Launch<TTable>(CudaKernel kernel, CudaStream stream, in Arguments arguments, IReadOnlyList<float> table)
        where TTable : unmanaged
    {
        var both = new WithTable<TTable> { Arguments = arguments };
        Span<float> entries = MemoryMarshal.Cast<TTable, float>(new Span<TTable>(ref both.Table));
        for (int i = 0; i < Math.Min(table.Count, entries.Length); i++)
        {
            entries[i] = table[i];
        }

        kernel.Launch(stream, both, arguments.N, Threads);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Arguments
    {
        public nint Codes;
        public nint Scale;
        public nint Zero;
        public nint Codebook;
        public nint Values;
        public int N;
        public int K;
        public int RowBytes;
        public int Group;
        public int ScaleStride;
        public int ScaleType;
        public int ZeroKind;
        public int ZeroType;
        public int EntryLength;
        public int GroupShift;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct WithTable<TTable>
        where TTable : unmanaged
    {
        public Arguments Arguments;
        public TTable Table;
    }

    [InlineArray(4)]
    private struct Table4 { private float first; }

    [InlineArray(8)]
    private struct Table8 { private float first; }

    [InlineArray(16)]
    private struct Table16 { private float first; }

    [InlineArray(32)]
    private struct Table32 { private float first; }

    [InlineArray(64)]
    private struct Table64 { private float first; }

    [InlineArray(128)]
    private struct Table128 { private float first; }

    [InlineArray(256)]
    private struct Table256 { private float first; }
}
