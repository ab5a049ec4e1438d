using TorchAO.Kernels;
using TorchAO.Runtime.Libtorch;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Modules;

/// <summary>A linear layer with a quantized weight of any format: <c>y = x · Wᵀ + b</c>.</summary>
/// <remarks>Takes the place of <see cref="Linear"/> in a model.</remarks>
public sealed class QuantizedLinear : QuantizedModule
{
    /// <summary>Creates the layer.</summary>
    /// <param name="executor">The weight and its kernels; owned by the layer from now on.</param>
    /// <param name="bias">The bias <c>[N]</c>, or <see langword="null"/>; owned by the layer from now on.</param>
    /// <exception cref="QuantizationException">The bias has another length than the weight has rows.</exception>
    public QuantizedLinear(LinearExecutor executor, Parameter? bias)
        : base(nameof(QuantizedLinear), executor, bias)
    {
    }

    /// <summary>Gets K, the count of input features.</summary>
    public long InFeatures => Weight.Shape[1];

    /// <summary>Gets N, the count of output features.</summary>
    public long OutFeatures => Weight.Shape[0];

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => Executor.Forward(input, Bias);

    /// <summary>Makes the floating-point layer that this one stands for.</summary>
    /// <returns>A layer with the dequantized weight and a copy of the bias. The caller disposes it.</returns>
    public Linear Dequantize()
    {
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return LinearParameters.CreateLayer(
            LinearParameters.Adopt(Weight.Dequantize(), requiresGrad: true),
            Bias is null ? null : LinearParameters.Adopt(Bias.detach().clone(), Bias.requires_grad));
    }

    /// <inheritdoc/>
    public override string ToString() =>
        $"QuantizedLinear(in_features={InFeatures}, out_features={OutFeatures}, weight={Weight.Format}, " +
        $"group_size={Weight.GroupSize}, {(Activation is null ? string.Empty : $"activations={Activation}, ")}" +
        $"bias={(Bias is null ? "none" : "yes")})";
}
