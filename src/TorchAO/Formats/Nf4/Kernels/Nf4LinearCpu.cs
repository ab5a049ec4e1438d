using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Kernels.Cpu.FloatPanels;
using TorchAO.Primitives.Kernels;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Formats.Nf4.Kernels;

/// <summary>Floating-point activations times NF4 weights; accumulates in float32.</summary>
/// <remarks>Scales are decoded row by row: by tensor arithmetic they took a third of a product with one activation row.</remarks>
internal sealed class Nf4LinearCpu : ILinearKernel<Nf4Tensor>, IKernelOfWays
{
    /// <inheritdoc/>
    public string Name => "nf4.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => TableProduct.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public string WayOf(in LinearProblem problem) => FloatPanelProduct.WayOf(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, Nf4Tensor weight, Tensor? bias)
    {
        using var operands = new FloatOperands(input, bias, weight.Shape[0], spreadsRows: true);
        using Tensor rounded = Nf4Quantization.Table(weight.Mean.dtype); // as the reference has it
        using Tensor table = rounded.to(ScalarType.Float32);
        float[] values = table.data<float>().ToArray();
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        switch (weight.Factor.dtype)
        {
            // A checkpoint may have factors and mean of two types.
            case var type when type != weight.Mean.dtype:
                using (Tensor stored = weight.DequantizeScale())
                using (Tensor scales = stored.to(ScalarType.Float32))
                {
                    TableProduct.Run(problem, operands, weight.QData, Nf4Tensor.Bits, values, scales);
                }

                break;
            case ScalarType.Float32:
                Run<Float32Values>(problem, operands, weight, values);
                break;
            case ScalarType.BFloat16:
                Run<BFloat16Values>(problem, operands, weight, values);
                break;
            default:
                Run<Float16Values>(problem, operands, weight, values);
                break;
        }

        return operands.TakeOutput();
    }

    private static void Run<TLanes>(in CpuProblem problem, FloatOperands operands, Nf4Tensor weight, float[] values)
        where TLanes : struct, IFloatLanes
    {
        using Tensor factors = weight.Factor.to(ScalarType.Float32);
        using Tensor mean = weight.Mean.to(ScalarType.Float32);
        var scales = new Nf4ScaleRows<TLanes>(weight.Scale, factors, mean.item<float>());
        TableProduct.Run(problem, operands, weight.QData, Nf4Tensor.Bits, values, scales);
        GC.KeepAlive(weight); // the product reads its scales by address
    }
}
