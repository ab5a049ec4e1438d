using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.UIntX;

/// <summary>Codes of 1 to 8 bits in shards, with a scale and perhaps a zero point for each row or group.</summary>
internal sealed class UIntXTensor : PackedCodesTensor
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
        : this(shape, dtype, bits, ToComponents(qdata, scale, zeroPoint))
    {
    }

    private UIntXTensor(IReadOnlyList<long> shape, ScalarType dtype, int bits, IReadOnlyList<TensorComponent> components)
        : base(shape, dtype, bits, components)
    {
    }

    public override string Format => UIntXFormat.FormatName;

    public override JsonObject DescribeParameters() => new()
    {
        ["bits"] = Bits,
        ["group_size"] = GroupSize,
        [StoredTensorReader.DomainParameter] = StoredTensorReader.DomainText(ZeroPoint),
    };

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

    protected override Tensor Unpack(Tensor packed) => ShardPacking.Unpack(packed, Bits, Shape[1]);

    // The bytes of a row hold codes that lie far apart, so a cut is packed anew.
    protected override Tensor NarrowPacked(long start, long length)
    {
        using Tensor codes = UnpackCodes();
        using Tensor cut = codes.narrow(1, start, length);
        return ShardPacking.Pack(cut, Bits);
    }

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) =>
        new UIntXTensor(shape, dtype, Bits, components);
}
