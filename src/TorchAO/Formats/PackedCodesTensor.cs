using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>Unsigned codes of a few bits, packed by rows, with a scale and perhaps a zero point for each row or group.</summary>
internal abstract class PackedCodesTensor : QuantizedTensor
{
    private const string ZeroPointName = "zero_point";

    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="shape">The logical shape <c>[N, K]</c>.</param>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="components">As <see cref="ToComponents"/> makes them; further ones have one column, or one a group.</param>
    protected PackedCodesTensor(
        IReadOnlyList<long> shape, ScalarType dtype, int bits, IReadOnlyList<TensorComponent> components)
        : base(shape, dtype, components)
    {
        Bits = bits;
        GroupSize = Shape[1] / Components[1].Value.size(1);
    }

    public override long GroupSize { get; }

    /// <summary>Gets the bits of a code.</summary>
    public int Bits { get; }

    /// <summary>Gets the packed codes, uint8, N rows.</summary>
    public Tensor QData => Components[0].Value;

    /// <summary>Gets the scales <c>[N, K / group]</c>, by which codes become values.</summary>
    public virtual Tensor Scale => Components[1].Value;

    /// <summary>Gets the values of the middle code (floating point) or the codes of value 0 (integers), <c>[N, K / group]</c>;
    /// <see langword="null"/> where the middle code stands for 0.</summary>
    public Tensor? ZeroPoint => Find(ZeroPointName);

    /// <summary>Gets the codes one a byte, from 0 to <c>2ᵇ − 1</c>.</summary>
    /// <returns>uint8 <c>[N, K]</c>. The caller disposes them.</returns>
    public Tensor UnpackCodes() => RowBlocks.Compute(Shape[0], Shape[1], (start, count) =>
    {
        using Tensor packed = QData.narrow(0, start, count);
        return Unpack(packed);
    });

    public override Tensor Dequantize(ScalarType? dtype = null)
    {
        using var qparams = new QParams(Scale.alias(), ZeroPoint?.alias());
        return RowBlocks.Compute(Shape[0], Shape[1], (start, count) =>
        {
            using Tensor packed = QData.narrow(0, start, count);
            using Tensor codes = Unpack(packed);
            using QParams rows = RowBlocks.Narrow(qparams, start, count);
            return UnsignedCodes.Of(Bits).Dequantize(codes, rows, dtype ?? DType);
        });
    }

    /// <summary>Unpacks some rows.</summary>
    /// <returns>Codes, uint8 <c>[rows, K]</c>. The caller disposes them.</returns>
    protected abstract Tensor Unpack(Tensor packed);

    /// <summary>Packs the codes of a range of input features, or cuts them out packed. The caller disposes them.</summary>
    protected abstract Tensor NarrowPacked(long start, long length);

    /// <summary>Lists the pieces that every format of this kind has.</summary>
    /// <param name="qdata">Packed codes, uint8, N rows.</param>
    /// <param name="scale">Scales <c>[N, K / group]</c>, in the type of the weight that was quantized.</param>
    /// <param name="zeroPoint"><c>[N, K / group]</c>: in a floating-point type the values of the middle code; in uint8 or int32
    /// the codes of value 0; <see langword="null"/> where the middle code stands for 0.</param>
    protected static IReadOnlyList<TensorComponent> ToComponents(Tensor qdata, Tensor scale, Tensor? zeroPoint) => zeroPoint is null
        ? [new("qdata", qdata), new("scale", scale)]
        : [new("qdata", qdata), new("scale", scale), new(ZeroPointName, zeroPoint)];

    /// <summary>Finds a piece that not every tensor of the format has.</summary>
    protected Tensor? Find(string name)
    {
        foreach (TensorComponent component in Components)
        {
            if (component.Name == name)
            {
                return component.Value;
            }
        }

        return null;
    }

    protected sealed override QuantizedTensor NarrowFeatures(long start, long length)
    {
        (long first, long groups) = NarrowGroups(start, length);
        return With([Shape[0], length], DType,
        [
            Components[0] with { Value = NarrowPacked(start, length) },
            .. Components.Skip(1).Select(component => component with
            {
                Value = component.Value.size(1) == 1 ? component.Value.clone() : Copy(component.Value, 1, first, groups),
            })
        ]);
    }
}
