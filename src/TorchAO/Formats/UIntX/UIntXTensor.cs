using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.UIntX;

/// <summary>Codes of 1 to 8 bits in shards, with a scale and perhaps a zero point for each row or group.</summary>
internal sealed class UIntXTensor : QuantizedTensor
{
    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="shape">The logical shape <c>[N, K]</c>.</param>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="qdata">Codes, uint8 <c>[N, ⌈K / 8⌉ · bits]</c>, as <see cref="ShardPacking"/> packs them.</param>
    /// <param name="scale">Scales <c>[N, K / group]</c>, in the type of the weight that was quantized.</param>
    /// <param name="zeroPoint"><c>[N, K / group]</c>: in a floating-point type the values of the middle code; in uint8 or int32
    /// the codes of value 0; <see langword="null"/> where the middle code stands for 0.</param>
    public UIntXTensor(
        IReadOnlyList<long> shape, ScalarType dtype, int bits, Tensor qdata, Tensor scale, Tensor? zeroPoint)
        : base(shape, dtype, ToComponents(qdata, scale, zeroPoint))
    {
        Bits = bits;
        GroupSize = Shape[1] / Scale.size(1);
    }

    public override string Format => UIntXFormat.FormatName;

    public override long GroupSize { get; }

    /// <summary>Gets the bits of a code.</summary>
    public int Bits { get; }

    /// <summary>Gets the packed codes, uint8 <c>[N, ⌈K / 8⌉ · bits]</c>.</summary>
    public Tensor QData => Components[0].Value;

    /// <summary>Gets the scales <c>[N, K / group]</c>.</summary>
    public Tensor Scale => Components[1].Value;

    /// <summary>Gets the values of the middle code (floating point) or the codes of value 0 (integers), <c>[N, K / group]</c>;
    /// <see langword="null"/> where the middle code stands for 0.</summary>
    public Tensor? ZeroPoint => Components.Count > 2 ? Components[2].Value : null;

    public override JsonObject DescribeParameters() => new()
    {
        ["bits"] = Bits,
        ["group_size"] = GroupSize,
        [StoredTensorReader.DomainParameter] = StoredTensorReader.DomainText(ZeroPoint),
    };

    /// <summary>Gets the codes one a byte, from 0 to <c>2ᵇ − 1</c>.</summary>
    /// <returns>uint8 <c>[N, K]</c>. The caller disposes them.</returns>
    public Tensor UnpackCodes() => RowBlocks.Compute(Shape[0], Shape[1], (start, count) =>
    {
        using Tensor packed = QData.narrow(0, start, count);
        return ShardPacking.Unpack(packed, Bits, Shape[1]);
    });

    public override Tensor Dequantize(ScalarType? dtype = null)
    {
        using var qparams = new QParams(Scale.alias(), ZeroPoint?.alias());
        return RowBlocks.Compute(Shape[0], Shape[1], (start, count) =>
        {
            using Tensor packed = QData.narrow(0, start, count);
            using Tensor codes = ShardPacking.Unpack(packed, Bits, Shape[1]);
            using QParams rows = RowBlocks.Narrow(qparams, start, count);
            return UnsignedCodes.Of(Bits).Dequantize(codes, rows, dtype ?? DType);
        });
    }

    /// <summary>Rebuilds a tensor from a checkpoint.</summary>
    public static UIntXTensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, UIntXFormat.FormatName);
        ZeroPointDomain domain = reader.ZeroPointDomain();
        string[] names = domain == ZeroPointDomain.None ? ["qdata", "scale"] : ["qdata", "scale", "zero_point"];
        reader.RequireExactly(names, ["bits", "group_size", StoredTensorReader.DomainParameter]);
        int bits = reader.Parameter<int>("bits");
        if (bits is < 1 or > 8)
        {
            throw reader.Wrong("bits", $"{bits}", "1 to 8");
        }

        long groups = reader.InFeatures / reader.GroupSize();
        return new UIntXTensor(
            stored.Shape,
            stored.DType,
            bits,
            reader.Component(
                "qdata", [reader.OutFeatures, ShardPacking.RowBytes(reader.InFeatures, bits)], ScalarType.Byte),
            reader.Scales("scale", reader.OutFeatures, groups),
            reader.ZeroPoints("zero_point", domain, reader.OutFeatures, groups));
    }

    // The bytes of a row hold codes that lie far apart, so a cut is packed anew.
    protected override QuantizedTensor NarrowFeatures(long start, long length)
    {
        (long first, long groups) = NarrowGroups(start, length);
        using Tensor codes = UnpackCodes();
        using Tensor cut = codes.narrow(1, start, length);
        return new UIntXTensor(
            [Shape[0], length],
            DType,
            Bits,
            ShardPacking.Pack(cut, Bits),
            Copy(Scale, 1, first, groups),
            ZeroPoint is { } zero ? Copy(zero, 1, first, groups) : null);
    }

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) => new UIntXTensor(
            shape, dtype, Bits, components[0].Value, components[1].Value, components.Count > 2 ? components[2].Value : null);

    private static TensorComponent[] ToComponents(Tensor qdata, Tensor scale, Tensor? zeroPoint) => zeroPoint is null
        ? [new("qdata", qdata), new("scale", scale)]
        : [new("qdata", qdata), new("scale", scale), new("zero_point", zeroPoint)];
}
