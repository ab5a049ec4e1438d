using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>Unsigned codes of a few bits, packed by rows, with a scale and perhaps a zero point for each row or group.</summary>
internal abstract class PackedCodesTensor : QuantizedTensor
{
    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="shape">The logical shape <c>[N, K]</c>.</param>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="qdata">Packed codes, uint8, N rows.</param>
    /// <param name="scale">Scales <c>[N, K / group]</c>, in the type of the weight that was quantized.</param>
    /// <param name="zeroPoint"><c>[N, K / group]</c>: in a floating-point type the values of the middle code; in uint8 or int32
    /// the codes of value 0; <see langword="null"/> where the middle code stands for 0.</param>
    protected PackedCodesTensor(
        IReadOnlyList<long> shape, ScalarType dtype, int bits, Tensor qdata, Tensor scale, Tensor? zeroPoint)
        : base(shape, dtype, ToComponents(qdata, scale, zeroPoint))
    {
        Bits = bits;
        GroupSize = Shape[1] / Scale.size(1);
    }

    public override long GroupSize { get; }

    /// <summary>Gets the bits of a code.</summary>
    public int Bits { get; }

    /// <summary>Gets the packed codes, uint8, N rows.</summary>
    public Tensor QData => Components[0].Value;

    /// <summary>Gets the scales <c>[N, K / group]</c>.</summary>
    public Tensor Scale => Components[1].Value;

    /// <summary>Gets the values of the middle code (floating point) or the codes of value 0 (integers), <c>[N, K / group]</c>;
    /// <see langword="null"/> where the middle code stands for 0.</summary>
    public Tensor? ZeroPoint => Components.Count > 2 ? Components[2].Value : null;

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

    /// <summary>Makes a tensor of the same format over other pieces.</summary>
    protected abstract QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, Tensor qdata, Tensor scale, Tensor? zeroPoint);

    protected sealed override QuantizedTensor NarrowFeatures(long start, long length)
    {
        (long first, long groups) = NarrowGroups(start, length);
        return With(
            [Shape[0], length],
            DType,
            NarrowPacked(start, length),
            Copy(Scale, 1, first, groups),
            ZeroPoint is { } zero ? Copy(zero, 1, first, groups) : null);
    }

    protected sealed override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) => With(
            shape, dtype, components[0].Value, components[1].Value, components.Count > 2 ? components[2].Value : null);

    private static TensorComponent[] ToComponents(Tensor qdata, Tensor scale, Tensor? zeroPoint) => zeroPoint is null
        ? [new("qdata", qdata), new("scale", scale)]
        : [new("qdata", qdata), new("scale", scale), new("zero_point", zeroPoint)];
}
