using System.Collections.Concurrent;
using TorchAO.Primitives;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>Launches <c>codes_gemm.cu</c>: rounded activations times codes of one byte on the matrix units of Hopper, scales and bias at the end.</summary>
internal static class CodesGemm
{
    private const int StepK = 128;

    private static readonly ConcurrentDictionary<(int Tokens, ScalarType Output, bool IsFloat, ScalarType Scale), CudaKernel> Kernels = new();

    // Microseconds of a multiprocessor for 128 input features; tiles of 32, 64, 128 and 256 tokens.
    private static readonly double[] StepCosts = [0.22, 0.30, 0.40, 0.79];

    /// <summary>Says why the product of a problem's codes cannot be computed here, or <see langword="null"/> if it can.</summary>
    public static string? ReasonToRefuse(in LinearProblem problem) =>
        DeviceKernels.ReasonToRefuse(problem)
        ?? TokenRounding.ReasonToRefuse(problem)
        ?? DeviceKernels.HopperAbsence
        ?? (problem.Activation?.Target.Storage == ScalarTypes.Float8E5M2 ? "multiplies int8 or e4m3fn codes, not e5m2"
        : problem.GroupSize != problem.InFeatures ? "takes one scale a row" : null);

    /// <summary>Computes the product.</summary>
    /// <param name="input">Activations <c>[M, K]</c>.</param>
    /// <param name="codes">The weight's codes <c>[N, K]</c>, of the type of the scheme's.</param>
    /// <param name="scale">The weight's scales, <c>[N, 1]</c> or <c>[1, 1]</c>.</param>
    /// <param name="bias">The bias <c>[N]</c>, or <see langword="null"/>.</param>
    /// <param name="scheme">How activations are rounded.</param>
    /// <returns>The result <c>[M, N]</c> in the type of the activations. The caller disposes it.</returns>
    public static Tensor Run(Tensor input, Tensor codes, Tensor scale, Tensor? bias, ActivationScheme scheme)
    {
        (long m, long n, long k) = (input.size(0), codes.size(0), codes.size(1));
        CudaStream stream = DeviceKernels.StreamOf(input);
        GemmShape shape = GemmShape.Choose(m, n, (k + StepK - 1) / StepK, StepCosts, stream.Device.MultiprocessorCount);
        (Tensor rounded, Tensor scales) = TokenRounding.Run(input, scheme);
        using Tensor roundedOwner = rounded, scalesOwner = scales;
        using Tensor? converted = DeviceKernels.Bias(bias, input.dtype);
        Tensor output = empty([m, n], dtype: input.dtype, device: input.device);
        var arguments = new GemmLaunch.Arguments
        {
            XMap = TensorMap.OfMatrix(TensorMemory.DeviceAddress(rounded), 1, m, k, shape.Tokens, StepK, TensorMapSwizzle.Bytes128),
            WeightMap = TensorMap.OfMatrix(TensorMemory.DeviceAddress(codes), 1, n, k, GemmShape.TileRows, StepK, TensorMapSwizzle.Bytes128),
            Scale = TensorMemory.DeviceAddress(scale),
            TokenScale = TensorMemory.DeviceAddress(scales),
            Bias = converted is null ? 0 : TensorMemory.DeviceAddress(converted),
            Y = TensorMemory.DeviceAddress(output),
            M = checked((int)m),
            N = checked((int)n),
            K = checked((int)k),
            Group = checked((int)k),
            ScaleStride = scale.numel() == 1 ? 0 : 1,
            TokenStride = scales.numel() == 1 ? 0 : 1,
        };
        int stageBytes = GemmLaunch.StageBytes(shape.Tokens, 1, StepK);
        CudaKernel kernel = Kernels.GetOrAdd((shape.Tokens, input.dtype, scheme.Target.IsFloat, scale.dtype), static key => DeviceKernels.Kernel(
            "Gemm/codes_gemm.cu", "codes_gemm", $"-DTOKENS={key.Tokens}",
            $"-DSTAGES={GemmLaunch.Stages(key.Tokens, GemmLaunch.StageBytes(key.Tokens, 1, StepK))}",
            $"-DOUT={(int)CudaNumbers.Of(key.Output)}", $"-DCODES={(key.IsFloat ? 80 : 8)}", $"-DSCALE={(int)CudaNumbers.Of(key.Scale)}"));
        GemmLaunch.Run(kernel, stream, shape, stageBytes, ref arguments);
        return output;
    }
}
