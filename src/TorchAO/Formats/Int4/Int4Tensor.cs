using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4;

/// <summary>4-bit codes, two a byte, with a scale and perhaps a zero point for each row or group.</summary>
/// <param name="shape">The logical shape <c>[N, K]</c>; K may be odd.</param>
/// <param name="dtype">The type of the weight that was quantized.</param>
/// <param name="qdata">Codes, uint8 <c>[N, ⌈K / 2⌉]</c>, the even one in the low half.</param>
/// <param name="scale">Scales <c>[N, K / group]</c>, in the type of the weight that was quantized.</param>
/// <param name="zeroPoint"><c>[N, K / group]</c>: in a floating-point type the values of code 8; in uint8 or int32 the codes of
/// value 0; <see langword="null"/> where code 8 stands for 0.</param>
internal sealed class Int4Tensor(
    IReadOnlyList<long> shape, ScalarType dtype, Tensor qdata, Tensor scale, Tensor? zeroPoint)
    : PackedCodesTensor(shape, dtype, 4, qdata, scale, zeroPoint)
{
    public override string Format => Int4Format.FormatName;

    public override JsonObject DescribeParameters() => new()
    {
        ["group_size"] = GroupSize,
        [StoredTensorReader.DomainParameter] = StoredTensorReader.DomainText(ZeroPoint),
    };

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

    protected override Tensor Unpack(Tensor packed) => NibblePacking.Unpack(packed, Shape[1]);

    protected override Tensor NarrowPacked(long start, long length)
    {
        bool endsInside = start + length < Shape[1];
        return start % 2 == 0 && (!endsInside || length % 2 == 0)
            ? Copy(QData, 1, start / 2, (length + 1) / 2)
            : throw new QuantizationException(
                $"{Format} weight [{Shape[0]}, {Shape[1]}]: input features {start} to {start + length - 1} split a byte, which " +
                "holds two; begin at an even feature and take an even count.");
    }

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, Tensor qdata, Tensor scale, Tensor? zeroPoint) =>
        new Int4Tensor(shape, dtype, qdata, scale, zeroPoint);
}
