using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Codebook;

/// <summary>Indices without gaps, the table, and a scale for each row or block.</summary>
internal sealed class CodebookTensor : QuantizedTensor
{
    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="shape">The logical shape <c>[N, K]</c>.</param>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="qdata">Codes, uint8 <c>[N, ⌈K / block · bits / 8⌉]</c>, the first in the highest bits.</param>
    /// <param name="scale">Scales <c>[N, K / scale block]</c>, float32.</param>
    /// <param name="codebook">Entries <c>[1, 2ᵇ, block]</c>, float32.</param>
    public CodebookTensor(
        IReadOnlyList<long> shape, ScalarType dtype, int bits, Tensor qdata, Tensor scale, Tensor codebook)
        : base(
            shape, dtype, new TensorComponent("qdata", qdata), new TensorComponent("scale", scale),
            new TensorComponent("codebook", codebook, IsShared: true))
    {
        Bits = bits;
        GroupSize = Shape[1] / Scale.size(1);
    }

    public override string Format => CodebookFormat.FormatName;

    public override long GroupSize { get; }

    /// <summary>Gets the bits of a code.</summary>
    public int Bits { get; }

    /// <summary>Gets how many consecutive input features a code stands for.</summary>
    public long BlockSize => Codebook.size(2);

    /// <summary>Gets the codes, uint8 <c>[N, ⌈K / block · bits / 8⌉]</c>.</summary>
    public Tensor QData => Components[0].Value;

    /// <summary>Gets the scales <c>[N, K / scale block]</c>.</summary>
    public Tensor Scale => Components[1].Value;

    /// <summary>Gets the entries <c>[1, 2ᵇ, block]</c>.</summary>
    public Tensor Codebook => Components[2].Value;

    public override JsonObject DescribeParameters() => new()
    {
        ["bits"] = Bits,
        ["block_size"] = BlockSize,
        ["scale_block_size"] = GroupSize,
    };

    /// <summary>Gets the codes one a byte.</summary>
    /// <returns>uint8 <c>[N, K / block]</c>. The caller disposes them.</returns>
    public Tensor UnpackCodes() => PackedRows.Unpack(QData, Bits, Shape[1] / BlockSize);

    public override Tensor Dequantize(ScalarType? dtype = null)
    {
        using Tensor entries = Codebook.select(0, 0);
        return PackedRows.Dequantize(
            QData, Bits, Shape[1] / BlockSize, Scale,
            (codes, scales) => CodebookQuantization.Dequantize(codes, entries, scales, dtype: dtype ?? DType));
    }

    /// <summary>Rebuilds a tensor from a checkpoint.</summary>
    public static CodebookTensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, CodebookFormat.FormatName);
        reader.RequireExactly(["qdata", "scale", "codebook"], ["bits", "block_size", "scale_block_size"]);
        int bits = reader.Parameter<int>("bits");
        if (bits is < 1 or > 8)
        {
            throw reader.Wrong("bits", $"{bits}", "1 to 8");
        }

        long scaleBlock = Divisor("scale_block_size", reader.InFeatures);
        long block = Divisor("block_size", scaleBlock);
        Tensor codebook = reader.Component("codebook", [1, 1 << bits, block], ScalarType.Float32);
        Tensor scale = reader.Component("scale", [reader.OutFeatures, reader.InFeatures / scaleBlock], ScalarType.Float32);
        Tensor qdata = reader.Component(
            "qdata", [reader.OutFeatures, BitStreamRows.RowBytes(reader.InFeatures / block, bits)], ScalarType.Byte);
        return new CodebookTensor(stored.Shape, stored.DType, bits, qdata, scale, codebook);

        long Divisor(string name, long of)
        {
            long value = reader.Parameter<long>(name);
            return value > 0 && of % value == 0 ? value : throw reader.Wrong(name, $"{value}", $"a positive divisor of {of}");
        }
    }

    protected override QuantizedTensor NarrowFeatures(long start, long length)
    {
        if (start % BlockSize != 0 || length % BlockSize != 0)
        {
            throw new QuantizationException(
                $"{Format} weight [{Shape[0]}, {Shape[1]}]: input features {start} to {start + length - 1} split a block; begin and end at " +
                $"multiples of {BlockSize}.");
        }

        (long first, long blocks) = NarrowGroups(start, length);
        return new CodebookTensor(
            [Shape[0], length],
            DType,
            Bits,
            PackedRows.NarrowFeatures(this, QData, Bits, start / BlockSize, length / BlockSize, Shape[1] / BlockSize),
            Copy(Scale, 1, first, blocks),
            Codebook.clone());
    }

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) => new CodebookTensor(
            shape, dtype, Bits, components[0].Value, components[1].Value, components[2].Value);
}
