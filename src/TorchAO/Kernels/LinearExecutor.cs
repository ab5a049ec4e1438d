using TorchAO.Kernels.Cuda;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels;

/// <summary>A weight together with its kernels: what every quantized layer runs. Hides the weight's type from the module.</summary>
/// <remarks>Owns the weight. Not thread-safe against <see cref="Dispose()"/>; any number of threads may call <see cref="Forward"/>.</remarks>
public abstract class LinearExecutor : IDisposable
{
    /// <summary>Gets the weight; owned by the executor.</summary>
    public abstract QuantizedTensor Weight { get; }

    /// <summary>Gets or sets the text of the config that made the weight, for information; <see langword="null"/> where unknown.</summary>
    public string? Origin { get; set; }

    /// <summary>Gets how activations are rounded; <see langword="null"/> where they stay in floating point.</summary>
    public abstract ActivationScheme? Activation { get; }

    /// <summary>Computes <c>y = x · Wᵀ + b</c> for activations of any rank, with the gradient to <paramref name="input"/>.</summary>
    /// <param name="input">Activations <c>[…, K]</c> in float32, float16, bfloat16 or float64; an empty batch is fine.</param>
    /// <param name="bias">The bias <c>[N]</c>, or <see langword="null"/>.</param>
    /// <returns>The result <c>[…, N]</c> in the type of the activations. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">Shape, type or device of the input, or the shape of the bias, does not fit the weight.</exception>
    public Tensor Forward(Tensor input, Tensor? bias)
    {
        RequireInputFits(input);
        RequireBiasFits(bias);
        bool trainsInput = is_grad_enabled() && input.requires_grad;
        bool trainsBias = is_grad_enabled() && bias is { requires_grad: true };
        if (!trainsInput && !trainsBias)
        {
            return Compute(input, bias);
        }

        // The bias is added outside of the function, so that libtorch derives its gradient.
        Tensor product = trainsInput ? QuantizedLinearFunction.apply(input, this) : Compute(input, null);
        if (bias is null)
        {
            return product;
        }

        using (product)
        using (Tensor converted = bias.to(product.dtype))
        {
            return product + converted;
        }
    }

    /// <summary>Says which kernel runs for a count of rows and an activation type, and why others do not.</summary>
    public abstract KernelChoice Explain(long rows, ScalarType activationType);

    /// <summary>Looks at the weight for the CUDA kernels of a decode step.</summary>
    /// <returns>A view of the executor's weight; <see langword="null"/> where the format has no such kernel or the weight lies on another
    /// device. How activations are rounded is for the caller to respect.</returns>
    public abstract CudaWeight? LookCuda();

    /// <summary>Makes an executor over a copy of the weight.</summary>
    /// <param name="device">The device of the copy.</param>
    /// <param name="dtype">The type that the copy dequantizes to; codes and scales stay as they are.</param>
    /// <returns>A new executor. The caller disposes it.</returns>
    public abstract LinearExecutor To(Device device, ScalarType dtype);

    /// <summary>Disposes the weight.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Computes the forward product without recording a gradient.</summary>
    internal Tensor Compute(Tensor input, Tensor? bias)
    {
        long[] shape = input.shape;
        long n = Weight.Shape[0];
        long k = Weight.Shape[1];
        long[] resultShape = [.. shape[..^1], n];
        long rows = input.numel() / Math.Max(k, 1);
        if (rows == 0)
        {
            return empty(resultShape, dtype: input.dtype, device: input.device);
        }

        ActivationScheme? scheme = Activation?.AppliesTo(shape) == true ? Activation : null;
        if (shape.Length == 2 && input.is_contiguous())
        {
            return Run(input, bias, scheme); // a view more or less is a tenth of a small product's time
        }

        using Tensor whole = input.contiguous();
        using Tensor flat = whole.view(rows, k);
        using Tensor result = Run(flat, bias, scheme);
        return result.view(resultShape);
    }

    /// <summary>Computes the gradient with respect to activations of any rank; it passes their rounding straight through.</summary>
    internal Tensor ComputeInputGradient(Tensor gradient)
    {
        long[] shape = gradient.shape;
        long n = Weight.Shape[0];
        using Tensor flat = gradient.reshape(-1, n);
        using Tensor result = ReferenceLinear.InputGradient(flat, Weight);
        return result.view([.. shape[..^1], Weight.Shape[1]]);
    }

    /// <summary>Runs the chosen kernel on contiguous activations <c>[M, K]</c>, M ≥ 1.</summary>
    protected abstract Tensor Run(Tensor input, Tensor? bias, ActivationScheme? scheme);

    /// <summary>Disposes the weight and what kernels packed from it.</summary>
    protected abstract void Dispose(bool disposing);

    private void RequireBiasFits(Tensor? bias)
    {
        if (bias is not null && (bias.dim() != 1 || bias.size(0) != Weight.Shape[0]))
        {
            throw new QuantizationException(
                $"linear, {Weight.Format} weight [{Weight.Shape[0]}, {Weight.Shape[1]}]: the bias has shape " +
                $"[{string.Join(", ", bias.shape)}], expected [{Weight.Shape[0]}]; pass one number a row of the weight, or null.");
        }
    }

    private void RequireInputFits(Tensor input)
    {
        long k = Weight.Shape[1];
        if (input.dim() == 0 || input.size(-1) != k)
        {
            throw new QuantizationException(
                $"linear, {Weight.Format} weight [{Weight.Shape[0]}, {k}]: the input's last dimension must be {k}, " +
                $"got [{string.Join(", ", input.shape)}]; check the layer that feeds this one.");
        }

        if (input.dtype is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16 or ScalarType.Float64))
        {
            throw new QuantizationException(
                $"linear, {Weight.Format} weight [{Weight.Shape[0]}, {k}]: the input is {input.dtype}, expected " +
                "Float32, BFloat16, Float16 or Float64; convert it before the layer.");
        }

        if (input.device_type != Weight.Device.type || input.device_index != Weight.Device.index)
        {
            throw new QuantizationException(
                $"linear, {Weight.Format} weight on {Weight.Device}: the input is on {input.device}; move the " +
                "model or the input with .to(device).");
        }
    }
}

/// <summary>The executor of one format.</summary>
internal sealed class LinearExecutor<TWeight>(
    TWeight weight, IReadOnlyList<ILinearKernel<TWeight>> kernels, ActivationScheme? activation = null) : LinearExecutor
    where TWeight : QuantizedTensor
{
    // Rows decide between GEMV and GEMM kernels, so the memory is by (rows, type); decode asks for one row for ever.
    // A reference, not a struct: threads that share the executor must not see one's problem with another's kernel.
    private Choice? last;

    public override QuantizedTensor Weight => weight;

    public override ActivationScheme? Activation => activation;

    public override KernelChoice Explain(long rows, ScalarType activationType) =>
        KernelSelector.Choose(kernels, Problem(rows, activationType, activation)).Choice;

    public override CudaWeight? LookCuda() => weight.Device.type == DeviceType.CUDA
        ? kernels.OfType<ICudaOperand<TWeight>>().FirstOrDefault()?.Look(weight)
        : null;

    public override LinearExecutor To(Device device, ScalarType dtype) =>
        new LinearExecutor<TWeight>((TWeight)weight.To(device, dtype), kernels, activation) { Origin = Origin };

    protected override Tensor Run(Tensor input, Tensor? bias, ActivationScheme? scheme)
    {
        LinearProblem problem = Problem(input.size(0), input.dtype, scheme);
        Choice? choice = last;
        if (choice is null || choice.Problem != problem)
        {
            choice = new Choice(problem, KernelSelector.Choose(kernels, problem).Index);
            last = choice;
        }

        ILinearKernel<TWeight>? kernel = choice.Kernel < 0 ? null : kernels[choice.Kernel];
        if (scheme is null)
        {
            return RunPlain(kernel, input, bias);
        }

        if (kernel is IQuantizedActivationKernel<TWeight> quantizing)
        {
            return quantizing.Run(input, weight, bias, scheme);
        }

        using Tensor rounded = scheme.Round(input);
        Tensor result = RunPlain(kernel, rounded, bias);
        return result.dtype == input.dtype ? result : result.to(input.dtype, disposeAfter: true);
    }

    private Tensor RunPlain(ILinearKernel<TWeight>? kernel, Tensor input, Tensor? bias) =>
        kernel is null ? ReferenceLinear.Run(input, weight, bias) : kernel.Run(input, weight, bias);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            weight.Dispose();
        }
    }

    private LinearProblem Problem(long rows, ScalarType activationType, ActivationScheme? scheme) => new(
        weight.Device.type, activationType, rows, weight.Shape[0], weight.Shape[1], weight.GroupSize, scheme);

    private sealed record Choice(LinearProblem Problem, int Kernel);
}
