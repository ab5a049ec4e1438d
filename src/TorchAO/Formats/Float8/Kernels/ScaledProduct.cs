using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Gemm;
using TorchAO.Primitives;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Formats.Float8.Kernels;

/// <summary>Rounded activations times codes by libtorch's scaled product, which multiplies 8-bit floats on tensor cores.</summary>
/// <remarks>Sums are kept in the tensor cores' own precision all along K, as torchao asks for by default.</remarks>
internal static class ScaledProduct
{
    private const long SideMultiple = 16; // of aten::_scaled_mm, on both sides

    // Measured on an H200: up to here our own product takes less of the device, and half of what the host takes to call this one.
    private const long OwnRows = 128;

    /// <summary>Says why the product of a problem's codes cannot be computed here, or <see langword="null"/> if it can.</summary>
    public static string? ReasonToRefuse(in LinearProblem problem) =>
        DeviceKernels.ReasonToRefuse(problem)
        ?? TokenRounding.ReasonToRefuse(problem)
        ?? (problem.ActivationType != ScalarType.BFloat16 ? $"gives BFloat16, not {problem.ActivationType}"
        : problem.Rows <= OwnRows && DeviceKernels.HopperAbsence is null ? $"pays from {OwnRows + 1} rows"
        : problem.OutFeatures % SideMultiple != 0 ? $"out_features {problem.OutFeatures} is no multiple of {SideMultiple}"
        : CudaDevice.All.FirstOrDefault(device => device.ComputeCapability.CompareTo((8, 9)) < 0) is { } old
            ? $"is made for compute capability 8.9 and newer; {old} has {old.ComputeCapability.Major}.{old.ComputeCapability.Minor}"
        : null);

    /// <summary>Computes the product; parameters and result as those of <see cref="CodesGemm.Run"/>.</summary>
    public static Tensor Run(Tensor input, Tensor codes, Tensor scale, Tensor? bias, ActivationScheme scheme)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor rounded, Tensor tokenScale) = TokenRounding.Run(input, scheme);
        Tensor rowScale = scale.to(ScalarType.Float32);
        bool isPerTensor = tokenScale.numel() == 1 && rowScale.numel() == 1;
        Tensor left = isPerTensor ? tokenScale.reshape([]) : tokenScale.reshape(-1, 1).expand(input.size(0), 1).contiguous();
        Tensor right = isPerTensor ? rowScale.reshape([]) : rowScale.reshape(1, -1).expand(1, codes.size(0)).contiguous();
        Tensor? converted = DeviceKernels.Bias(bias, ScalarType.BFloat16);
        return Operator.Find("aten::_scaled_mm")
            .Call(rounded, codes.t(), left, right, converted, OperatorArgument.None, ScalarType.BFloat16, true)
            .MoveToOuterDisposeScope();
    }
}
