using TorchAO.Runtime.Libtorch;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Modules;

/// <summary>A convolution with a window of one pixel, as the linear layer over channels that it is.</summary>
/// <remarks>
/// Made by <c>SwapPointwiseConvolutions</c>, torchao's <c>swap_conv2d_1x1_to_linear</c>, so that all that is said of linear layers
/// reaches it. The inner layer is called <c>linear</c>.
/// </remarks>
public sealed class PointwiseLinear : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> linear;

    /// <summary>Takes over the parameters of a convolution; copies of them.</summary>
    /// <param name="convolution">A convolution with a window, stride and dilation of one, no padding and one group.</param>
    /// <exception cref="QuantizationException">The convolution is another.</exception>
    public PointwiseLinear(Conv2d convolution)
        : base(nameof(PointwiseLinear))
    {
        ArgumentNullException.ThrowIfNull(convolution);
        if (!IsPointwise(convolution))
        {
            throw new QuantizationException(
                $"PointwiseLinear: got a convolution with kernel [{string.Join(", ", convolution.kernel_size)}], expected a window of one " +
                "pixel, stride 1, no padding and one group.");
        }

        using IDisposable noGradient = no_grad();
        Parameter weight = convolution.weight!;
        Parameter copy = LinearParameters.Adopt(weight.detach().flatten(1).clone(), weight.requires_grad);
        Parameter? bias = convolution.bias is { } old ? LinearParameters.Adopt(old.detach().clone(), old.requires_grad) : null;
        linear = LinearParameters.CreateLayer(copy, bias);
        train(convolution.training);
        RegisterComponents();
    }

    /// <summary>Says whether a convolution computes each output pixel from the one input pixel under it.</summary>
    public static bool IsPointwise(Conv2d convolution) =>
        ConvolutionGeometry.ReasonUnsupported(convolution) is null && ConvolutionGeometry.Of(convolution).IsPointwise;

    /// <summary>Computes the layer.</summary>
    /// <param name="input">Activations <c>[B, C, H, W]</c> or <c>[C, H, W]</c>.</param>
    /// <returns>The result <c>[B, O, H, W]</c>. The caller disposes it.</returns>
    public override Tensor forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        return linear.call(input.movedim([-3], [-1])).movedim([-1], [-3]).contiguous().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            linear.Dispose();
        }

        base.Dispose(disposing);
    }
}
