using static TorchSharp.torch;

namespace TorchAO.Kernels;

/// <summary>The product with a frozen quantized weight, with its gradient to the activations: <c>∂L/∂x = g · dequantize(W)</c>.</summary>
internal sealed class QuantizedLinearFunction : autograd.SingleTensorFunction<QuantizedLinearFunction>
{
    public override string Name => nameof(QuantizedLinearFunction);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var input = (Tensor)vars[0];
        var executor = (LinearExecutor)vars[1];
        ctx.save_data("executor", executor);
        return executor.Compute(input, null);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        var executor = (LinearExecutor)ctx.get_data("executor");
        return [executor.ComputeInputGradient(grad_output), null!];
    }
}
