using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4;

/// <summary>4-bit codes, two a byte, with a scale and perhaps a zero point for each row or group.</summary>
internal sealed class Int4Tensor : QuantizedTensor
{
    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="shape">The logical shape <c>[N, K]</c>; K may be odd.</param>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="qdata">Codes, uint8 <c>[N, ⌈K / 2⌉]</c>, the even one in the low half.</param>
    /// <param name="scale">Scales <c>[N, K / group]</c>, in the type of the weight that was quantized.</param>
    /// <param name="zeroPoint"><c>[N, K / group]</c>: in a floating-point type the values of code 8; in uint8 or int32 the codes of
    /// value 0; <see langword="null"/> where code 8 stands for 0.</param>
    public Int4Tensor(IReadOnlyList<long> shape, ScalarType dtype, Tensor qdata, Tensor scale, Tensor? zeroPoint)
        : base(shape, dtype, ToComponents(qdata, scale, zeroPoint)) => GroupSize = Shape[1] / Scale.size(1);

    public override string Format => Int4Format.FormatName;

    public override long GroupSize { get; }

    /// <summary>Gets the packed codes, uint8 <c>[N, ⌈K / 2⌉]</c>.</summary>
    public Tensor QData => Components[0].Value;

    /// <summary>Gets the scales <c>[N, K / group]</c>.</summary>
    public Tensor Scale => Components[1].Value;

    /// <summary>Gets the values of code 8 (floating point) or the codes of value 0 (integers), <c>[N, K / group]</c>;
    /// <see langword="null"/> where code 8 stands for 0.</summary>
    public Tensor? ZeroPoint => Components.Count > 2 ? Components[2].Value : null;

    public override JsonObject DescribeParameters() => new()
    {
        ["group_size"] = GroupSize,
        [StoredTensorReader.DomainParameter] = StoredTensorReader.DomainText(ZeroPoint),
    };

    /// <summary>Gets the codes one a byte, from 0 to 15.</summary>
    /// <returns>uint8 <c>[N, K]</c>. The caller disposes them.</returns>
    public Tensor UnpackCodes() => NibblePacking.Unpack(QData, Shape[1]);

    public override Tensor Dequantize(ScalarType? dtype = null)
    {
        using var qparams = new QParams(Scale.alias(), ZeroPoint?.alias());
        return RowBlocks.Compute(Shape[0], Shape[1], (start, count) =>
        {
            using Tensor packed = QData.narrow(0, start, count);
            using Tensor codes = NibblePacking.Unpack(packed, Shape[1]);
            using QParams rows = RowBlocks.Narrow(qparams, start, count);
            return Int4Grid.Codes.Dequantize(codes, rows, dtype ?? DType);
        });
    }

    /// <summary>Rebuilds a tensor from a checkpoint.</summary>
    public static Int4Tensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, Int4Format.FormatName);
        ZeroPointDomain domain = reader.ZeroPointDomain();
        string[] names = domain == ZeroPointDomain.None ? ["qdata", "scale"] : ["qdata", "scale", "zero_point"];
        reader.RequireExactly(names, ["group_size", StoredTensorReader.DomainParameter]);
        long groups = reader.InFeatures / reader.GroupSize();
        return new Int4Tensor(
            stored.Shape,
            stored.DType,
            reader.Component("qdata", [reader.OutFeatures, (reader.InFeatures + 1) / 2], ScalarType.Byte),
            reader.Scales("scale", reader.OutFeatures, groups),
            reader.ZeroPoints("zero_point", domain, reader.OutFeatures, groups));
    }

    protected override QuantizedTensor NarrowFeatures(long start, long length)
    {
        bool endsInside = start + length < Shape[1];
        if (start % 2 != 0 || (endsInside && length % 2 != 0))
        {
            throw new QuantizationException(
                $"{Format} weight [{Shape[0]}, {Shape[1]}]: input features {start} to {start + length - 1} split a byte, which " +
                "holds two; begin at an even feature and take an even count.");
        }

        (long first, long groups) = NarrowGroups(start, length);
        return new Int4Tensor(
            [Shape[0], length],
            DType,
            Copy(QData, 1, start / 2, (length + 1) / 2),
            Copy(Scale, 1, first, groups),
            ZeroPoint is { } zero ? Copy(zero, 1, first, groups) : null);
    }

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) => new Int4Tensor(
            shape, dtype, components[0].Value, components[1].Value, components.Count > 2 ? components[2].Value : null);

    private static TensorComponent[] ToComponents(Tensor qdata, Tensor scale, Tensor? zeroPoint) => zeroPoint is null
        ? [new("qdata", qdata), new("scale", scale)]
        : [new("qdata", qdata), new("scale", scale), new("zero_point", zeroPoint)];
}
