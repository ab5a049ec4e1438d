using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using TorchAO.Numerics;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Quantize;

/// <summary>Casts values on a GPU to float8, saturating, to the nearest code or to one of the two neighbours by chance.</summary>
/// <remarks>libtorch's own cast makes NaN or infinity of what is beyond the largest value, and never rounds by chance.</remarks>
public static class CudaFloat8Cast
{
    private const int Threads = 256;
    private const int Eight = 8;
    private const int Alignment = 16;

    private static readonly ConcurrentDictionary<(ScalarType Input, ScalarType Code, bool IsStochastic), CudaKernel> Kernels = new();

    /// <summary>Computes the codes.</summary>
    /// <param name="values">bfloat16, float16 or float32 of any shape, on a CUDA device; NaN becomes 0x7F, whatever its sign.</param>
    /// <param name="type"><see cref="ScalarTypes.Float8E4M3"/> or <see cref="ScalarTypes.Float8E5M2"/>.</param>
    /// <param name="seed"><see langword="null"/> (the default): the nearest code, ties to even, the bits of
    /// <see cref="FloatCodec{TFormat}.EncodeSaturating(float)"/>. Otherwise element i, counted row by row, has those of
    /// <see cref="FloatCodec{TFormat}.EncodeStochastic"/> with element i of the seed's <see cref="CounterRandom"/>.</param>
    /// <returns>Codes in the shape of the values. The caller disposes them.</returns>
    /// <exception cref="ArgumentException">The values are on another device or of another type, or the codes are.</exception>
    /// <exception cref="CudaException">There is no compiler for kernels.</exception>
    public static Tensor Run(Tensor values, ScalarType type, ulong? seed = null)
    {
        ArgumentNullException.ThrowIfNull(values);
        RequireFloat8(type);
        if (values.device_type != DeviceType.CUDA)
        {
            throw new ArgumentException($"got values on {values.device_type}, expected a CUDA device; FloatCodec casts on the CPU.", nameof(values));
        }

        using Tensor x = values.contiguous();
        Tensor codes = empty(values.shape, dtype: type, device: values.device);
        CudaKernel kernel = Kernels.GetOrAdd((values.dtype, type, seed is not null), static key => DeviceKernels.Kernel(
            "Quantize/float8_cast.cu", "float8_cast", Options(key.Input, key.Code, key.IsStochastic)));
        kernel.Launch(DeviceKernels.StreamOf(x), Settle(x, codes, seed ?? 0), Blocks(x.numel()), Threads);
        return codes;
    }

    /// <summary>Gets the blocks that so many values take.</summary>
    internal static int Blocks(long count) => checked((int)((count + (Eight * Threads) - 1) / (Eight * Threads)));

    /// <summary>Gets what the kernel is compiled with.</summary>
    internal static string[] Options(ScalarType input, ScalarType code, bool isStochastic) =>
    [
        $"-DIN={(int)CudaNumbers.Of(input)}", $"-DMANTISSA={(code == ScalarTypes.Float8E4M3 ? 3 : 2)}", $"-DSTOCHASTIC={(isStochastic ? 1 : 0)}",
    ];

    /// <summary>Gets what the kernel is given.</summary>
    internal static Arguments Settle(Tensor values, Tensor codes, ulong seed)
    {
        (nint x, nint target) = (TensorMemory.DeviceAddress(values), TensorMemory.DeviceAddress(codes));
        return new() { X = x, Codes = target, Count = values.numel(), Seed = seed, IsAligned = x % Alignment == 0 && target % Eight == 0 ? 1 : 0 };
    }

    private static void RequireFloat8(ScalarType type)
    {
        if (type is not (ScalarTypes.Float8E4M3 or ScalarTypes.Float8E5M2))
        {
            throw new ArgumentException($"got codes of type {ScalarTypes.NameOf(type)}, expected F8_E4M3 or F8_E5M2.", nameof(type));
        }
    }

    /// <summary><c>CastArguments</c> of <c>float8_cast.cu</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Arguments
    {
        public nint X;
        public nint Codes;
        public long Count;
        public ulong Seed;
        public int IsAligned;
    }
}
