using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Returns computed values forward and lets the gradient through to the input where a mask is true.</summary>
internal sealed class StraightThroughFunction : autograd.SingleTensorFunction<StraightThroughFunction>
{
    /// <inheritdoc/>
    public override string Name => nameof(StraightThroughFunction);

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var values = (Tensor)vars[1];
        ctx.save_for_backward([(Tensor)vars[2]]);
        return values.alias();
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using Tensor mask = ctx.get_saved_variables()[0];
        return [grad_output * mask, null!, null!];
    }
}
