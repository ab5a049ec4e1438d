using TorchAO.Kernels;
using TorchAO.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Modules;

/// <summary>A linear layer with a quantized weight of any format: <c>y = x · Wᵀ + b</c>.</summary>
/// <remarks>
/// Takes the place of <see cref="Linear"/> in a model. The weight's components are buffers (<c>qdata</c>, <c>scale</c>, …) and the
/// bias is a parameter, so <c>state_dict</c>, <c>named_buffers</c> and <c>.to(device)</c> see them. <c>.to(dtype)</c> changes
/// the bias and the type that <see cref="Dequantize"/> gives; codes and scales never change type.
/// </remarks>
public sealed class QuantizedLinear : nn.Module<Tensor, Tensor>
{
    private LinearExecutor executor;
    private Parameter? biasParameter;

    /// <summary>Creates the layer.</summary>
    /// <param name="executor">The weight and its kernels; owned by the layer from now on.</param>
    /// <param name="bias">The bias <c>[N]</c>, or <see langword="null"/>; owned by the layer from now on.</param>
    public QuantizedLinear(LinearExecutor executor, Parameter? bias)
        : base(nameof(QuantizedLinear))
    {
        ArgumentNullException.ThrowIfNull(executor);
        this.executor = executor;
        RegisterWeight();
        biasParameter = bias;
        if (bias is not null)
        {
            bias.DetachFromDisposeScope();
            register_parameter("bias", bias);
        }
    }

    /// <summary>Gets the quantized weight <c>[N, K]</c>; owned by the layer.</summary>
    public QuantizedTensor Weight => executor.Weight;

    /// <summary>Gets the bias <c>[N]</c>, or <see langword="null"/>; owned by the layer.</summary>
    public Parameter? Bias => biasParameter;

    /// <summary>Gets K, the count of input features.</summary>
    public long InFeatures => Weight.Shape[1];

    /// <summary>Gets N, the count of output features.</summary>
    public long OutFeatures => Weight.Shape[0];

    /// <summary>Gets the executor, for reports and for kernels that fuse several layers.</summary>
    public LinearExecutor Executor => executor;

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => executor.Forward(input, biasParameter);

    /// <summary>Makes the floating-point layer that this one stands for.</summary>
    /// <returns>A layer with the dequantized weight and a copy of the bias. The caller disposes it.</returns>
    public Linear Dequantize()
    {
        Linear linear = nn.Linear(InFeatures, OutFeatures, hasBias: false, device: Weight.Device, dtype: Weight.DType);
        using DisposeScope scope = NewDisposeScope();
        linear.weight = new Parameter(Weight.Dequantize().DetachFromDisposeScope());
        if (biasParameter is not null)
        {
            using Tensor detached = biasParameter.detach();
            linear.bias = new Parameter(detached.clone().DetachFromDisposeScope(), biasParameter.requires_grad);
        }

        return linear;
    }

    /// <inheritdoc/>
    public override string ToString() =>
        $"QuantizedLinear(in_features={InFeatures}, out_features={OutFeatures}, weight={Weight.Format}, " +
        $"group_size={Weight.GroupSize}, bias={(biasParameter is null ? "none" : "yes")})";

    /// <inheritdoc/>
    protected override nn.Module _to(Device device, ScalarType dtype, bool non_blocking)
    {
        MoveWeight(device, dtype);
        MoveBias(device, dtype);
        _toEpilog(device, dtype, non_blocking);
        return this;
    }

    /// <inheritdoc/>
    protected override nn.Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking)
    {
        var device = new Device(deviceType, deviceIndex);
        MoveWeight(device, Weight.DType);
        MoveBias(device, biasParameter?.dtype);
        _toEpilog(deviceType, deviceIndex, non_blocking);
        return this;
    }

    /// <inheritdoc/>
    protected override nn.Module _to(ScalarType dtype, bool non_blocking)
    {
        MoveWeight(Weight.Device, dtype);
        MoveBias(Weight.Device, dtype);
        _toEpilog(dtype, non_blocking);
        return this;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            executor.Dispose();
            biasParameter?.Dispose();
        }

        base.Dispose(disposing);
    }

    private void RegisterWeight()
    {
        foreach (TensorComponent component in Weight.Components)
        {
            register_buffer(component.Name, component.Value, persistent: true);
        }
    }

    // The kernels hold the components by address, so the executor is made anew and the buffers follow it.
    private void MoveWeight(Device device, ScalarType dtype)
    {
        bool isFloat = dtype is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16 or ScalarType.Float64;
        bool stays = device.type == Weight.Device.type && device.index == Weight.Device.index;
        if (stays && (!isFloat || dtype == Weight.DType))
        {
            return;
        }

        LinearExecutor old = executor;
        executor = old.To(device, isFloat ? dtype : Weight.DType);
        RegisterWeight();
        old.Dispose();
    }

    private void MoveBias(Device device, ScalarType? dtype)
    {
        if (biasParameter is null)
        {
            return;
        }

        using Tensor detached = biasParameter.detach();
        var moved = new Parameter(
            detached.to(dtype ?? biasParameter.dtype, device, copy: true).DetachFromDisposeScope(), biasParameter.requires_grad);
        Parameter old = biasParameter;
        biasParameter = moved;
        register_parameter("bias", moved);
        old.Dispose();
    }
}
