using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using TorchAO.Primitives;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>Launches <c>token_codes.cu</c>: activations to codes of one byte with their scales, bit for bit those of
/// <see cref="ActivationScheme.Quantize"/> on the CPU.</summary>
internal static class TokenRounding
{
    /// <summary>A row is read in pieces of this many numbers, and a matrix unit takes its codes in as many.</summary>
    public const int RowMultiple = 16;

    private const int Threads = 256;
    private const int AmaxBlocks = 1024;

    private static readonly ConcurrentDictionary<(ScalarType Input, ScalarType Codes, bool Rounds, bool IsAmax), CudaKernel> Kernels = new();

    /// <summary>Says why a scheme's codes are not made here, or <see langword="null"/> if they are.</summary>
    public static string? ReasonToRefuse(in LinearProblem problem) => problem.Activation switch
    {
        null => "takes rounded activations, not floating point",
        { Mapping: not MappingType.Symmetric } => $"takes symmetric codes of activations, not {problem.Activation}",
        { Target.Storage: ScalarType.Int8 } scheme when scheme.Target.Max != 127 || scheme.Target.Min != -127 || scheme.IsPerTensor =>
            $"takes int8 codes from -127 to 127 a token, not {scheme}",
        { Target.Storage: not (ScalarType.Int8 or ScalarTypes.Float8E4M3 or ScalarTypes.Float8E5M2) } scheme => $"has no codes of {scheme}",
        _ when problem.InFeatures % RowMultiple != 0 => $"in_features {problem.InFeatures} is no multiple of {RowMultiple}",
        _ => null,
    };

    /// <summary>Rounds activations.</summary>
    /// <param name="input">Activations <c>[M, K]</c>, contiguous, on a CUDA device.</param>
    /// <param name="scheme">A scheme that <see cref="ReasonToRefuse"/> does not refuse.</param>
    /// <returns>Codes <c>[M, K]</c> and scales, float32, <c>[M]</c> or <c>[1]</c>. The caller disposes both.</returns>
    public static (Tensor Codes, Tensor Scales) Run(Tensor input, ActivationScheme scheme)
    {
        AffineScheme arithmetic = scheme.Arithmetic(input.dtype);
        Tensor codes = empty(input.shape, dtype: scheme.Target.Storage, device: input.device);
        Tensor scales = scheme.StaticScale is { } given
            ? full([1], given, dtype: ScalarType.Float32, device: input.device)
            : empty([scheme.IsPerTensor ? 1 : input.size(0)], dtype: ScalarType.Float32, device: input.device);
        bool needsAmax = scheme.IsPerTensor && scheme.StaticScale is null;
        using Tensor? amax = needsAmax ? zeros([1], dtype: ScalarType.Int32, device: input.device) : null;
        var arguments = new Arguments
        {
            X = TensorMemory.DeviceAddress(input),
            Codes = TensorMemory.DeviceAddress(codes),
            Scales = TensorMemory.DeviceAddress(scales),
            Amax = amax is null ? 0 : TensorMemory.DeviceAddress(amax),
            K = input.size(1),
            Largest = (float)scheme.Target.Max,
            Smallest = (float)(arithmetic.Epsilon ?? 0),
            ScaleKind = scheme.StaticScale is not null ? 2 : needsAmax ? 1 : 0,
            M = checked((int)input.size(0)),
        };
        bool rounds = !scheme.Target.IsFloat && arithmetic.ScaleType == input.dtype && input.dtype != ScalarType.Float32;
        CudaStream stream = DeviceKernels.StreamOf(input);
        if (needsAmax)
        {
            Kernel(input.dtype, scheme.Target.Storage, rounds, isAmax: true).Launch(stream, arguments, Math.Min(arguments.M, AmaxBlocks), Threads);
        }

        Kernel(input.dtype, scheme.Target.Storage, rounds, isAmax: false).Launch(stream, arguments, arguments.M, Threads);
        GC.KeepAlive(input); // the kernels work on addresses
        return (codes, scales);
    }

    private static CudaKernel Kernel(ScalarType input, ScalarType codes, bool rounds, bool isAmax) =>
        Kernels.GetOrAdd((input, codes, rounds, isAmax), static key => DeviceKernels.Kernel(
            "Gemm/token_codes.cu", key.IsAmax ? "token_amax" : "token_codes", $"-DIN={(int)CudaNumbers.Of(key.Input)}",
            $"-DCODES={(key.Codes == ScalarType.Int8 ? 8 : key.Codes == ScalarTypes.Float8E4M3 ? 80 : 52)}", $"-DROUNDS={(key.Rounds ? 1 : 0)}"));

    [StructLayout(LayoutKind.Sequential)]
    private struct Arguments
    {
        public nint X;
        public nint Codes;
        public nint Scales;
        public nint Amax;
        public long K;
        public float Largest;
        public float Smallest;
        public int ScaleKind;
        public int M;
    }
}
