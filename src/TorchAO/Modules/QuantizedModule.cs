using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Modules;

/// <summary>A module with a quantized weight of any format, and perhaps a bias: what linear layers, embeddings and convolutions
/// have in common.</summary>
/// <remarks>
/// The weight's components are buffers (<c>qdata</c>, <c>scale</c>, …) and the bias is a parameter, so <c>state_dict</c>,
/// <c>named_buffers</c> and <c>.to(device)</c> see them. <c>.to(dtype)</c> changes the bias and the type that weights dequantize
/// to; codes and scales never change type.
/// </remarks>
public abstract class QuantizedModule : nn.Module<Tensor, Tensor>
{
    private LinearExecutor executor;
    private Parameter? biasParameter;

    private protected QuantizedModule(string name, LinearExecutor executor, Parameter? bias)
        : base(name)
    {
        ArgumentNullException.ThrowIfNull(executor);
        if (bias is not null && (bias.dim() != 1 || bias.size(0) != executor.Weight.Shape[0]))
        {
            throw new QuantizationException(
                $"{name}, {executor.Weight.Format} weight [{string.Join(", ", executor.Weight.Shape)}]: the bias has shape " +
                $"[{string.Join(", ", bias.shape)}], expected [{executor.Weight.Shape[0]}]; pass one number a row of the weight, or null.");
        }

        this.executor = executor;
        RegisterWeight();
        (_deviceType, _deviceIndex) = (Weight.Device.type, Weight.Device.index);
        biasParameter = bias;
        if (bias is not null)
        {
            bias.DetachFromDisposeScope();
            register_parameter("bias", bias);
        }
    }

    /// <summary>Gets the quantized weight as rows <c>[N, K]</c>; owned by the module.</summary>
    public QuantizedTensor Weight => executor.Weight;

    /// <summary>Gets how activations are rounded; <see langword="null"/> where they stay in floating point.</summary>
    public ActivationScheme? Activation => executor.Activation;

    /// <summary>Gets the bias <c>[N]</c>, or <see langword="null"/>; owned by the module.</summary>
    public Parameter? Bias => biasParameter;

    /// <summary>Gets the executor, for reports and for kernels that fuse several layers.</summary>
    public LinearExecutor Executor => executor;

    /// <summary>Takes the bias out of a module that is about to be disposed.</summary>
    internal Parameter? TakeBias()
    {
        Parameter? bias = biasParameter;
        biasParameter = null;
        if (bias is not null)
        {
            _internal_params.Remove("bias"); // throws where there is none
        }

        return bias;
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Where all forms of <c>.to</c> end. TorchSharp's own version would convert the scales, which are floating-point buffers.
    /// </remarks>
    protected override void _toEpilog(ScalarType? dtype, Device? device, bool non_blocking)
    {
        if (dtype is not (null or ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16 or ScalarType.Float64))
        {
            throw new ArgumentException(
                $"{this}: got {dtype}, expected Float32, BFloat16, Float16 or Float64; the layer computes in real numbers.",
                nameof(dtype));
        }

        MoveWeight(device ?? Weight.Device, dtype ?? Weight.DType);
        if (biasParameter is { } old && ReplaceParameter(dtype, device, old, out Parameter? moved))
        {
            biasParameter = moved!;
            _internal_params["bias"] = moved!;
            old.Dispose();
        }
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
            // The registry is written to directly, since register_buffer refuses to replace.
            _internal_buffers[component.Name] = (component.Value, true);
        }
    }

    // The kernels hold the components by address, so the executor is made anew and the buffers follow it.
    private void MoveWeight(Device device, ScalarType dtype)
    {
        Device current = Weight.Device;
        bool stays = current.type == device.type && (device.index < 0 || current.index == device.index);
        if (!stays || dtype != Weight.DType)
        {
            LinearExecutor old = executor;
            executor = old.To(device, dtype);
            RegisterWeight();
            old.Dispose();
        }

        (_deviceType, _deviceIndex) = (device.type, device.index);
    }
}
