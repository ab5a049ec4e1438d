using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using TorchAO.Primitives;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>Rounded activations times int8 codes by the integer product of libtorch, and <c>scale_sums.cu</c> for scales and bias: for
/// devices that <see cref="CodesGemm"/> has no kernel for.</summary>
internal static class IntegerSums
{
    // aten::_int_mm asks for these on CUDA.
    private const int LeastRows = 17, SideMultiple = 8;

    private const int Threads = 256, OutputsAThread = 8;

    private static readonly ConcurrentDictionary<ScalarType, CudaKernel> Kernels = new();

    /// <summary>Says why the product of a problem's codes cannot be computed here, or <see langword="null"/> if it can.</summary>
    public static string? ReasonToRefuse(in LinearProblem problem) =>
        DeviceKernels.ReasonToRefuse(problem)
        ?? TokenRounding.ReasonToRefuse(problem)
        ?? (problem.Activation?.Target.Storage != ScalarType.Int8 ? "multiplies int8 codes"
        : problem.GroupSize != problem.InFeatures ? "takes one scale a row"
        : problem.Rows < LeastRows ? $"libtorch's integer product asks for {LeastRows} rows or more"
        : problem.OutFeatures % SideMultiple != 0 ? $"out_features {problem.OutFeatures} is no multiple of {SideMultiple}"
        : problem.Rows > ushort.MaxValue ? $"takes up to {ushort.MaxValue} rows" : null);

    /// <summary>Computes the product; parameters and result as those of <see cref="CodesGemm.Run"/>.</summary>
    public static Tensor Run(Tensor input, Tensor codes, Tensor scale, Tensor? bias, ActivationScheme scheme)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor rounded, Tensor scales) = TokenRounding.Run(input, scheme);
        Tensor sums = Operator.Find("aten::_int_mm").Call(rounded, codes.t());
        Tensor? converted = DeviceKernels.Bias(bias, input.dtype);
        Tensor output = empty([input.size(0), codes.size(0)], dtype: input.dtype, device: input.device);
        var arguments = new Arguments
        {
            Sums = TensorMemory.DeviceAddress(sums),
            TokenScale = TensorMemory.DeviceAddress(scales),
            Scale = TensorMemory.DeviceAddress(scale),
            Bias = converted is null ? 0 : TensorMemory.DeviceAddress(converted),
            Y = TensorMemory.DeviceAddress(output),
            N = checked((int)codes.size(0)),
            ScaleStride = scale.numel() == 1 ? 0 : 1,
            ScaleType = (int)CudaNumbers.Of(scale.dtype),
        };
        int blocks = (arguments.N + (Threads * OutputsAThread) - 1) / (Threads * OutputsAThread);
        Kernels.GetOrAdd(input.dtype, static type => DeviceKernels.Kernel("Gemm/scale_sums.cu", "scale_sums", $"-DOUT={(int)CudaNumbers.Of(type)}"))
            .Launch(DeviceKernels.StreamOf(input), arguments, new Dim3(blocks, checked((int)input.size(0))), Threads);
        return output.MoveToOuterDisposeScope();
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Arguments
    {
        public nint Sums;
        public nint TokenScale;
        public nint Scale;
        public nint Bias;
        public nint Y;
        public int N;
        public int ScaleStride;
        public int ScaleType;
    }
}
