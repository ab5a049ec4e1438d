using TorchAO.Runtime.Cuda;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>A kernel whose weight other kernels can read: the steps of a decode graph.</summary>
internal interface ICudaOperand<in TWeight>
    where TWeight : QuantizedTensor
{
    /// <summary>Looks at a weight that lies on a CUDA device.</summary>
    CudaWeight Look(TWeight weight);
}

/// <summary>A few 16-bit activation rows times a weight in its stored order, on tensor cores; sums and scales in float32.</summary>
/// <param name="name">The kernel's name.</param>
/// <param name="look">Finds codes and scales of a weight.</param>
/// <param name="always">Why single products go elsewhere, where only decode graphs use the kernel; <see langword="null"/> otherwise.</param>
/// <typeparam name="TWeight">The format's tensor.</typeparam>
internal sealed class CudaGemvLinear<TWeight>(string name, Func<TWeight, CudaWeight> look, string? always = null)
    : ILinearKernel<TWeight>, ICudaOperand<TWeight>
    where TWeight : QuantizedTensor
{
    // Measured beside dequantizing and libtorch's product.
    private const int MostRows = 16;

    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public CudaWeight Look(TWeight weight) => look(weight);

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => problem switch
    {
        { Device: not DeviceType.CUDA } => $"runs on CUDA devices, not on {problem.Device}",
        { Rows: > MostRows } => $"pays up to {MostRows} rows",
        _ => always
            ?? CudaWeight.ReasonToRefuse(problem.ActivationType, problem.InFeatures, problem.GroupSize)
            ?? CudaSource.CompilerAbsence,
    };

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias)
    {
        CudaWeight operand = look(weight);
        using Tensor? converted = DeviceKernels.Bias(bias, input.dtype);
        Tensor output = empty([input.size(0), operand.OutFeatures], dtype: input.dtype, device: input.device);
        CudaDevice device = CudaDevice.Of(input);
        var launch = new GemvLaunch(device, new GemvProduct
        {
            Weights = [operand],
            Biases = converted is null ? null : [converted],
            Input = input,
            Output = output,
        });
        launch.Launch(CudaStream.Current(device));
        return output;
    }
}
