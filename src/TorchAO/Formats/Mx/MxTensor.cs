using System.Text.Json.Nodes;
using TorchAO.Numerics;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Formats.Mx;

/// <summary>Small floats without gaps, and a power of two for each block of them.</summary>
internal sealed class MxTensor : QuantizedTensor
{
    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="shape">The logical shape <c>[N, K]</c>.</param>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="element">The type of the codes.</param>
    /// <param name="qdata">Codes, uint8 <c>[N, ⌈K · bits / 8⌉]</c>, the first in the highest bits.</param>
    /// <param name="scale">Exponents, uint8 <c>[N, K / block]</c>: <c>2^(scale − 127)</c>.</param>
    public MxTensor(IReadOnlyList<long> shape, ScalarType dtype, MxElementType element, Tensor qdata, Tensor scale)
        : base(shape, dtype, new TensorComponent("qdata", qdata), new TensorComponent("scale", scale))
    {
        Element = MxElement.Of(element);
        GroupSize = Shape[1] / Scale.size(1);
    }

    public override string Format => MxFormat.FormatName;

    public override long GroupSize { get; }

    /// <summary>Gets the element type.</summary>
    public MxElement Element { get; }

    /// <summary>Gets the codes, uint8 <c>[N, ⌈K · bits / 8⌉]</c>.</summary>
    public Tensor QData => Components[0].Value;

    /// <summary>Gets the exponents, uint8 <c>[N, K / block]</c>.</summary>
    public Tensor Scale => Components[1].Value;

    public override JsonObject DescribeParameters() => new()
    {
        ["elem_dtype"] = Element.Name,
        ["block_size"] = GroupSize,
    };

    public override Tensor Dequantize(ScalarType? dtype = null) => PackedRows.Dequantize(
        QData, Element.Bits, Shape[1], Scale, (codes, scales) => MxQuantization.Dequantize(codes, scales, Element.Type, dtype ?? DType));

    /// <summary>Rebuilds a tensor from a checkpoint.</summary>
    public static MxTensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, MxFormat.FormatName);
        reader.RequireExactly(["qdata", "scale"], ["elem_dtype", "block_size"]);
        string name = reader.Parameter<string>("elem_dtype");
        MxElement element = MxElement.All.FirstOrDefault(candidate => candidate.Name == name)
            ?? throw reader.Wrong("elem_dtype", name, string.Join(" or ", MxElement.All.Select(known => known.Name)));
        long blockSize = reader.Parameter<long>("block_size");
        if (blockSize <= 0 || reader.InFeatures % blockSize != 0)
        {
            throw reader.Wrong("block_size", $"{blockSize}", $"a positive divisor of in_features {reader.InFeatures}");
        }

        long rowBytes = BitStreamRows.RowBytes(reader.InFeatures, element.Bits);
        Tensor qdata = reader.Component("qdata", [reader.OutFeatures, rowBytes], ScalarType.Byte);
        Tensor scale = reader.Component("scale", [reader.OutFeatures, reader.InFeatures / blockSize], ScalarType.Byte);
        RequireFinite(reader, element, qdata, scale);
        return new MxTensor(stored.Shape, stored.DType, element.Type, qdata, scale);
    }

    protected override QuantizedTensor NarrowFeatures(long start, long length)
    {
        (long first, long blocks) = NarrowGroups(start, length);
        return new MxTensor(
            [Shape[0], length],
            DType,
            Element.Type,
            PackedRows.NarrowFeatures(this, QData, Element.Bits, start, length),
            Copy(Scale, 1, first, blocks));
    }

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) =>
        new MxTensor(shape, dtype, Element.Type, components[0].Value, components[1].Value);

    // A weight is quantized only if it is finite, so a file that says otherwise is damaged. Kernels rely on it: they decode
    // without a look at the codes of infinity and NaN.
    private static void RequireFinite(StoredTensorReader reader, MxElement element, Tensor qdata, Tensor scale)
    {
        using DisposeScope scope = NewDisposeScope();
        if ((scale == (int)ExponentE8M0.NaN).any().item<bool>())
        {
            throw reader.Wrong("scale", "255, which is NaN", "0 to 254");
        }

        int firstSpecial = Enumerable.Range(0, 128).FirstOrDefault(code => !float.IsFinite(element.Values[code]), 128);
        if (firstSpecial == 128)
        {
            return;
        }

        Tensor special = RowBlocks.Compute(qdata.size(0), qdata.size(1), (start, count) =>
        {
            using DisposeScope block = NewDisposeScope();
            Tensor magnitude = qdata.narrow(0, start, count).bitwise_and(tensor((byte)127, device: qdata.device));
            return (magnitude >= firstSpecial).any().reshape(1, 1).MoveToOuterDisposeScope();
        });
        if (special.any().item<bool>())
        {
            throw reader.Wrong("qdata", "a code of NaN or infinity", "finite numbers");
        }
    }
}
