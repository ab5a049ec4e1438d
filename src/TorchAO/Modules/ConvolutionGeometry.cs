using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using PaddingType = TorchSharp.Padding;

namespace TorchAO.Modules;

/// <summary>How a convolution walks over its input; one entry a spatial dimension in each list.</summary>
/// <param name="Kernel">Size of the window.</param>
/// <param name="Stride">Steps of the window.</param>
/// <param name="Padding">Zeros at either end.</param>
/// <param name="Dilation">Distance of the window's taps.</param>
/// <param name="Groups">Into how many independent convolutions channels are divided.</param>
/// <param name="InChannels">Channels of the input.</param>
public sealed record ConvolutionGeometry(
    IReadOnlyList<long> Kernel,
    IReadOnlyList<long> Stride,
    IReadOnlyList<long> Padding,
    IReadOnlyList<long> Dilation,
    long Groups,
    long InChannels)
{
    /// <summary>Gets the count of spatial dimensions, 1 or 2.</summary>
    public int Dimensions => Kernel.Count;

    /// <summary>Gets whether each output pixel is a linear layer of the one input pixel under it.</summary>
    public bool IsPointwise =>
        Groups == 1 && Kernel.All(size => size == 1) && Stride.All(step => step == 1) && Padding.All(zeros => zeros == 0);

    /// <summary>Says why a quantized module cannot take a convolution's place, or <see langword="null"/> if it can.</summary>
    public static string? ReasonUnsupported(Convolution convolution)
    {
        ArgumentNullException.ThrowIfNull(convolution);
        if (convolution is not (Conv1d or Conv2d))
        {
            return $"a {convolution.GetType().Name} has no quantized form; Conv1d and Conv2d have";
        }

        if (convolution.padding_mode != PaddingModes.Zeros)
        {
            return $"its padding_mode is {convolution.padding_mode}, expected Zeros; pad before the layer instead";
        }

        return convolution.padding_type is PaddingType.Same && !HasEvenPadding(convolution)
            ? "padding 'same' with an even kernel pads one end more than the other; pad before the layer instead"
            : null;
    }

    /// <summary>Reads the geometry of a convolution that <see cref="ReasonUnsupported"/> has nothing against.</summary>
    public static ConvolutionGeometry Of(Convolution convolution)
    {
        ArgumentNullException.ThrowIfNull(convolution);
        int dimensions = convolution is Conv1d ? 1 : 2;
        long[] kernel = Each(convolution.kernel_size, dimensions);
        long[] dilation = Each(convolution.dilation, dimensions);
        long[] padding = convolution.padding_type switch
        {
            PaddingType.Same => [.. kernel.Zip(dilation, (size, distance) => distance * (size - 1) / 2)],
            PaddingType.Valid => new long[dimensions],
            _ => Each(convolution.padding ?? [0], dimensions),
        };
        return new(kernel, Each(convolution.stride, dimensions), padding, dilation, convolution.groups, convolution.in_channels);
    }

    /// <summary>Convolves with a floating-point weight.</summary>
    /// <param name="input">Activations <c>[B, C, …]</c> or <c>[C, …]</c>.</param>
    /// <param name="weight">The weight <c>[O, C / groups, kernel…]</c>.</param>
    /// <param name="bias">The bias <c>[O]</c>, or <see langword="null"/>.</param>
    /// <returns>The result <c>[B, O, …]</c>. The caller disposes it.</returns>
    public Tensor Convolve(Tensor input, Tensor weight, Tensor? bias) => Dimensions == 1
        ? nn.functional.conv1d(input, weight, bias, Stride[0], Padding[0], Dilation[0], Groups)
        : nn.functional.conv2d(input, weight, bias, [.. Stride], [.. Padding], [.. Dilation], Groups);

    /// <summary>Lays the window's pixels out in rows, one for each position of the window.</summary>
    /// <param name="input">Activations <c>[B, C, H, W]</c>.</param>
    /// <returns>Rows <c>[B, H' · W', C · kernel]</c>. The caller disposes it.</returns>
    public Tensor Unfold(Tensor input)
    {
        (long, long) Pair(IReadOnlyList<long> values, long missing) => Dimensions == 1 ? (missing, values[0]) : (values[0], values[1]);
        using Tensor columns = nn.functional.unfold(
            input, Pair(Kernel, 1), dilation: Pair(Dilation, 1), padding: Pair(Padding, 0), stride: Pair(Stride, 1));
        return columns.transpose(1, 2);
    }

    /// <summary>Computes how many positions the window has along a dimension.</summary>
    public long Positions(int dimension, long size) =>
        (size + (2 * Padding[dimension]) - (Dilation[dimension] * (Kernel[dimension] - 1)) - 1) / Stride[dimension] + 1;

    private static bool HasEvenPadding(Convolution convolution)
    {
        int dimensions = convolution is Conv1d ? 1 : 2;
        return Each(convolution.kernel_size, dimensions)
            .Zip(Each(convolution.dilation, dimensions), (size, distance) => distance * (size - 1))
            .All(total => total % 2 == 0);
    }

    private static long[] Each(long[] values, int dimensions) =>
        values.Length == dimensions ? [.. values] : [.. Enumerable.Repeat(values[0], dimensions)];
}
