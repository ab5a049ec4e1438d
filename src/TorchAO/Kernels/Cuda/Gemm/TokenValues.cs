using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using TorchAO.Primitives;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>Launches <c>token_values.cu</c>: activations to integers in bfloat16, code less zero point, with their scales; those of
/// <see cref="ActivationScheme.Quantize"/> on the CPU.</summary>
internal static class TokenValues
{
    private const int Threads = 256;
    private const int RowMultiple = 8;

    private static readonly ConcurrentDictionary<(ScalarType Input, bool IsAsymmetric, bool Rounds), CudaKernel> Kernels = new();

    /// <summary>Says why a scheme's integers are not made here, or <see langword="null"/> if they are.</summary>
    public static string? ReasonToRefuse(in LinearProblem problem) => problem.Activation switch
    {
        null => "takes rounded activations, not floating point",
        { Target.IsFloat: true } or { Target.Storage: not ScalarType.Int8 } or { IsPerTensor: true } or { StaticScale: not null } =>
            $"takes integers with a scale a token, not {problem.Activation}",
        _ when problem.InFeatures % RowMultiple != 0 => $"in_features {problem.InFeatures} is no multiple of {RowMultiple}",
        _ => null,
    };

    /// <summary>Rounds activations.</summary>
    /// <param name="input">Activations <c>[M, K]</c>, contiguous, on a CUDA device.</param>
    /// <param name="scheme">A scheme that <see cref="ReasonToRefuse"/> does not refuse.</param>
    /// <returns>Integers <c>[M, K]</c> in bfloat16 and scales, float32 <c>[M]</c>. The caller disposes both.</returns>
    public static (Tensor Values, Tensor Scales) Run(Tensor input, ActivationScheme scheme)
    {
        AffineScheme arithmetic = scheme.Arithmetic(input.dtype);
        bool isAsymmetric = scheme.Mapping == MappingType.Asymmetric;
        double range = scheme.Target.Max - scheme.Target.Min;
        Tensor values = empty(input.shape, dtype: ScalarType.BFloat16, device: input.device);
        Tensor scales = empty([input.size(0)], dtype: ScalarType.Float32, device: input.device);
        var arguments = new Arguments
        {
            X = TensorMemory.DeviceAddress(input),
            Values = TensorMemory.DeviceAddress(values),
            Scales = TensorMemory.DeviceAddress(scales),
            K = input.size(1),
            Divisor = (float)(isAsymmetric ? range : range / 2),
            Smallest = (float)(arithmetic.Epsilon ?? ScalarTypes.Of(input.dtype).Epsilon),
            Min = (float)scheme.Target.Min,
            Max = (float)scheme.Target.Max,
        };
        bool rounds = !isAsymmetric && arithmetic.ScaleType == input.dtype && input.dtype != ScalarType.Float32;
        CudaKernel kernel = Kernels.GetOrAdd((input.dtype, isAsymmetric, rounds), static key => DeviceKernels.Kernel(
            "Gemm/token_values.cu", "token_values", $"-DIN={(int)CudaNumbers.Of(key.Input)}", $"-DASYMMETRIC={(key.IsAsymmetric ? 1 : 0)}",
            $"-DROUNDS={(key.Rounds ? 1 : 0)}"));
        kernel.Launch(DeviceKernels.StreamOf(input), arguments, checked((int)input.size(0)), Threads);
        GC.KeepAlive(input); // the kernel works on addresses
        return (values, scales);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Arguments
    {
        public nint X;
        public nint Values;
        public nint Scales;
        public long K;
        public float Divisor;
        public float Smallest;
        public float Min;
        public float Max;
    }
}
