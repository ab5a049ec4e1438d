using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace TorchAO.Tensors;

/// <summary>A weight in a quantized format: named components in canonical storage, and the shape they stand for.</summary>
/// <remarks>
/// Owns its components. Immutable: every operation makes a new tensor. Canonical storage is the same on all devices and
/// on disk; a kernel that wants another order makes its own copy.
/// </remarks>
public abstract class QuantizedTensor : IDisposable
{
    /// <summary>Creates the tensor over its components, which it owns from then on.</summary>
    /// <param name="shape">The logical shape, such as <c>[N, K]</c>.</param>
    /// <param name="dtype">The floating-point type of the weight that was quantized.</param>
    /// <param name="components">The pieces; taken out of any dispose scope, and made contiguous where they are not.</param>
    protected QuantizedTensor(IReadOnlyList<long> shape, ScalarType dtype, params IReadOnlyList<TensorComponent> components)
    {
        Shape = [.. shape];
        DType = dtype;
        Components = [.. components.Select(component => component with { Value = Canonical(component.Value) })];
    }

    /// <summary>Gets the catalogue name of the format, such as <c>int8</c>.</summary>
    public abstract string Format { get; }

    /// <summary>Gets the logical shape, such as <c>[N, K]</c> for a linear weight.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>Gets the type that <see cref="Dequantize"/> returns by default: that of the weight before quantization.</summary>
    public ScalarType DType { get; }

    /// <summary>Gets the pieces in the order in which they are written to disk.</summary>
    public IReadOnlyList<TensorComponent> Components { get; }

    /// <summary>Gets the device of the components.</summary>
    public Device Device => Components[0].Value.device;

    /// <summary>Gets the size of all components in bytes.</summary>
    public long Bytes => Components.Sum(component => component.Value.numel() * component.Value.element_size());

    /// <summary>Gets the count of consecutive input features that share one scale; K where a row has one scale.</summary>
    public abstract long GroupSize { get; }

    /// <summary>Writes the parameters that are not tensors, with stable snake-case names, for the checkpoint's JSON.</summary>
    public abstract JsonObject DescribeParameters();

    /// <summary>Computes the values that the codes stand for.</summary>
    /// <param name="dtype">The floating-point type of the result; <see cref="DType"/> if absent.</param>
    /// <returns>A tensor of the logical shape on the components' device. The caller disposes it.</returns>
    public abstract Tensor Dequantize(ScalarType? dtype = null);

    /// <summary>Cuts out a range of rows (dimension 0) or of input features (dimension 1), on the codes, without rounding again.</summary>
    /// <returns>A new tensor that shares no memory with this one. The caller disposes it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such dimension or range.</exception>
    /// <exception cref="QuantizationException">The cut would split a group or a packed byte.</exception>
    public QuantizedTensor Narrow(int dimension, long start, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(dimension);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(dimension, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Shape[dimension] - start);
        return dimension == 0 ? NarrowRows(start, length) : NarrowFeatures(start, length);
    }

    /// <summary>Gathers rows (dimension 0), on the codes, without rounding again.</summary>
    /// <param name="rows">Row numbers <c>[count]</c>, int64 or int32, count ≥ 1; a row may come more than once.</param>
    /// <returns>A new tensor <c>[count, K]</c> that shares no memory with this one. The caller disposes it.</returns>
    internal QuantizedTensor SelectRows(Tensor rows) => With([rows.size(0), Shape[1]], DType,
    [
        .. Components.Select(component => component with
        {
            Value = component.IsShared ? component.Value.clone() : component.Value.index_select(0, rows),
        })
    ]);

    /// <summary>Copies the tensor.</summary>
    /// <param name="device">The device of the copy.</param>
    /// <param name="dtype">The copy's <see cref="DType"/>, this tensor's if absent; codes and scales stay as they are.</param>
    /// <returns>A new tensor that shares no memory with this one. The caller disposes it.</returns>
    public QuantizedTensor To(Device device, ScalarType? dtype = null) => With(
        Shape, dtype ?? DType, [.. Components.Select(component => component with { Value = component.Value.to(device, copy: true) })]);

    /// <summary>Disposes the components.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Disposes the components; packed forms that a subclass keeps go here too.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (TensorComponent component in Components)
            {
                component.Value.Dispose();
            }
        }
    }

    /// <summary>Cuts out rows of each component; those that all rows share are copied whole.</summary>
    protected virtual QuantizedTensor NarrowRows(long start, long length) => With([length, Shape[1]], DType,
    [
        .. Components.Select(component => component with
        {
            Value = component.IsShared ? component.Value.clone() : Copy(component.Value, 0, start, length),
        })
    ]);

    /// <summary>Cuts out input features; the range lies within the row and is not empty.</summary>
    protected abstract QuantizedTensor NarrowFeatures(long start, long length);

    /// <summary>Makes a tensor of the same format and parameters over other components.</summary>
    protected abstract QuantizedTensor With(IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components);

    /// <summary>Finds the groups that a range of input features covers; a row with one scale may be cut anywhere.</summary>
    /// <exception cref="QuantizationException">The range begins or ends within a group.</exception>
    private protected (long First, long Count) NarrowGroups(long start, long length)
    {
        if (GroupSize == Shape[1])
        {
            return (0, 1);
        }

        return start % GroupSize == 0 && length % GroupSize == 0
            ? (start / GroupSize, length / GroupSize)
            : throw new QuantizationException(
                $"{Format} weight [{Shape[0]}, {Shape[1]}]: input features {start} to {start + length - 1} split a group of " +
                $"{GroupSize}; begin and end at multiples of {GroupSize}.");
    }

    private static Tensor Canonical(Tensor value)
    {
        if (value.is_contiguous())
        {
            return value.DetachFromDisposeScope();
        }

        using (value)
        {
            return value.contiguous().DetachFromDisposeScope();
        }
    }

    /// <summary>Copies a range of a tensor into memory of its own.</summary>
    private protected static Tensor Copy(Tensor tensor, long dimension, long start, long length)
    {
        using Tensor view = tensor.narrow(dimension, start, length);
        return view.clone();
    }
}
