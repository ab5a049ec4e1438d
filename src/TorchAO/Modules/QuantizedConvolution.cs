using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Modules;

/// <summary>A one- or two-dimensional convolution with a quantized weight of any format, one row an output channel.</summary>
/// <remarks>
/// Takes the place of <see cref="Conv1d"/> and <see cref="Conv2d"/> in a model. A convolution with a window of one pixel is a
/// linear layer and runs as one. With a config that rounds activations, the window's pixels are laid out in rows, each rounded
/// as one token, and multiplied as in a linear layer. Otherwise the weight is dequantized for each call ("memory only").
/// </remarks>
public sealed class QuantizedConvolution : QuantizedModule
{
    /// <summary>Creates the layer.</summary>
    /// <param name="executor">The weight <c>[O, C / groups · kernel]</c> and its kernels; owned by the layer from now on.</param>
    /// <param name="bias">The bias <c>[O]</c>, or <see langword="null"/>; owned by the layer from now on.</param>
    /// <param name="geometry">Window, stride, padding, dilation and groups.</param>
    /// <exception cref="QuantizationException">Bias or geometry does not fit the weight, or the executor rounds activations and
    /// there is more than one group.</exception>
    public QuantizedConvolution(LinearExecutor executor, Parameter? bias, ConvolutionGeometry geometry)
        : base(nameof(QuantizedConvolution), executor, bias)
    {
        ArgumentNullException.ThrowIfNull(geometry);
        Geometry = geometry;
        long expected = geometry.InChannels / geometry.Groups * geometry.Kernel.Aggregate(1L, (product, size) => product * size);
        if (Weight.Shape[1] != expected || Weight.Shape[0] % geometry.Groups != 0)
        {
            throw new QuantizationException(
                $"QuantizedConvolution: the weight is [{string.Join(", ", Weight.Shape)}], expected a multiple of {geometry.Groups} " +
                $"rows of {expected}, the channels of a group times the kernel [{string.Join(", ", geometry.Kernel)}].");
        }

        if (ReasonNotToRound(Activation, geometry) is { } reason)
        {
            throw new QuantizationException($"QuantizedConvolution: {reason}.");
        }
    }

    /// <summary>Gets window, stride, padding, dilation and groups.</summary>
    public ConvolutionGeometry Geometry { get; }

    /// <summary>Convolves.</summary>
    /// <param name="input">Activations <c>[B, C, L]</c> or <c>[C, L]</c> in one dimension, <c>[B, C, H, W]</c> or
    /// <c>[C, H, W]</c> in two; floating-point.</param>
    /// <returns>The result with O channels, in the type of the activations. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">Rank, channels, type or device of the input does not fit.</exception>
    public override Tensor forward(Tensor input)
    {
        RequireInputFits(input);
        return Geometry.IsPointwise || Activation is not null ? MultiplyRows(input) : ConvolveDequantized(input);
    }

    /// <summary>Makes the floating-point layer that this one stands for.</summary>
    /// <returns>A Conv1d or Conv2d with the dequantized weight and a copy of the bias. The caller disposes it.</returns>
    public Convolution Dequantize()
    {
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        ConvolutionGeometry g = Geometry;
        Convolution layer = g.Dimensions == 1
            ? nn.Conv1d(
                g.InChannels, Weight.Shape[0], g.Kernel[0], g.Stride[0], g.Padding[0], g.Dilation[0], groups: g.Groups,
                bias: Bias is not null, device: Weight.Device, dtype: Weight.DType)
            : nn.Conv2d(
                g.InChannels, Weight.Shape[0], (g.Kernel[0], g.Kernel[1]), (g.Stride[0], g.Stride[1]), (g.Padding[0], g.Padding[1]),
                (g.Dilation[0], g.Dilation[1]), groups: g.Groups, bias: Bias is not null, device: Weight.Device, dtype: Weight.DType);
        layer.weight!.copy_(DequantizedWeight());
        if (Bias is not null)
        {
            layer.bias!.copy_(Bias);
            layer.bias.requires_grad = Bias.requires_grad;
        }

        return layer;
    }

    /// <inheritdoc/>
    public override string ToString() =>
        $"QuantizedConvolution({Geometry.InChannels}, {Weight.Shape[0]}, kernel_size=[{string.Join(", ", Geometry.Kernel)}], " +
        $"stride=[{string.Join(", ", Geometry.Stride)}], padding=[{string.Join(", ", Geometry.Padding)}], " +
        $"dilation=[{string.Join(", ", Geometry.Dilation)}], groups={Geometry.Groups}, weight={Weight.Format}, " +
        $"group_size={Weight.GroupSize}, {(Activation is null ? string.Empty : $"activations={Activation}, ")}" +
        $"bias={(Bias is null ? "none" : "yes")})";

    /// <summary>Says how a layer of this geometry computes, in place of a kernel where there is none.</summary>
    internal static string Explain(ConvolutionGeometry geometry, ActivationScheme? activation, Func<string> kernel) =>
        geometry.IsPointwise ? $"as a linear layer: {kernel()}"
        : activation is not null ? $"window by window as a linear layer: {kernel()}"
        : "memory only: the weight is dequantized for each call of libtorch's convolution";

    /// <summary>Says why activations cannot be rounded, or <see langword="null"/> if they can or stay as they are.</summary>
    internal static string? ReasonNotToRound(ActivationScheme? activation, ConvolutionGeometry geometry) =>
        activation is not null && geometry.Groups > 1
            ? $"the config rounds activations ({activation}), and the convolution has {geometry.Groups} groups, expected 1; " +
              "give grouped convolutions a weight-only config"
            : null;

    private Tensor ConvolveDequantized(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        return Geometry.Convolve(input, DequantizedWeight().to(input.dtype), Bias?.to(input.dtype)).MoveToOuterDisposeScope();
    }

    private Tensor MultiplyRows(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        bool isBatch = input.dim() == Geometry.Dimensions + 2;
        Tensor batch = isBatch ? input : input.unsqueeze(0);
        Tensor image = Geometry.Dimensions == 1 ? batch.unsqueeze(2) : batch;
        Tensor rows = Geometry.IsPointwise ? image.flatten(2).transpose(1, 2) : Geometry.Unfold(image);
        long[] positions = [.. Geometry.Kernel.Select((_, i) => Geometry.Positions(i, batch.size(i + 2)))];
        Tensor result = Executor.Forward(rows, Bias).transpose(1, 2).reshape([batch.size(0), Weight.Shape[0], .. positions]);
        return (isBatch ? result : result.squeeze(0)).contiguous().MoveToOuterDisposeScope();
    }

    private Tensor DequantizedWeight()
    {
        using IDisposable noGradient = no_grad();
        using Tensor rows = Weight.Dequantize();
        return rows.view([Weight.Shape[0], Geometry.InChannels / Geometry.Groups, .. Geometry.Kernel]);
    }

    private void RequireInputFits(Tensor input)
    {
        int dimensions = Geometry.Dimensions;
        bool hasRank = input.dim() == dimensions + 1 || input.dim() == dimensions + 2;
        if (!hasRank || input.size(-dimensions - 1) != Geometry.InChannels)
        {
            throw new QuantizationException(
                $"{this}: the input is [{string.Join(", ", input.shape)}], expected [batch, {Geometry.InChannels}, " +
                $"{(dimensions == 1 ? "length" : "height, width")}]; check the layer that feeds this one.");
        }

        if (Enumerable.Range(0, dimensions).Any(i => Geometry.Positions(i, input.size(i - dimensions)) < 1))
        {
            throw new QuantizationException(
                $"{this}: the input [{string.Join(", ", input.shape)}] is smaller than the window, expected at least one position.");
        }

        if (input.dtype is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16 or ScalarType.Float64))
        {
            throw new QuantizationException(
                $"{this}: the input is {input.dtype}, expected Float32, BFloat16, Float16 or Float64; convert it before the layer.");
        }

        if (input.device_type != Weight.Device.type || input.device_index != Weight.Device.index)
        {
            throw new QuantizationException(
                $"{this} on {Weight.Device}: the input is on {input.device}; move the model or the input with .to(device).");
        }
    }
}
