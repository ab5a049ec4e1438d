using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int8;

/// <summary>Symmetric int8 codes with a scale for each row or group.</summary>
internal sealed class Int8Tensor : QuantizedTensor
{
    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="qdata">Codes, int8 <c>[N, K]</c>.</param>
    /// <param name="scale">Scales <c>[N, K / group]</c>, in the type of the weight that was quantized.</param>
    public Int8Tensor(ScalarType dtype, Tensor qdata, Tensor scale)
        : base(qdata.shape, dtype, new TensorComponent("qdata", qdata), new TensorComponent("scale", scale)) =>
        GroupSize = Shape[1] / Scale.size(1);

    public override string Format => Int8Format.FormatName;

    public override long GroupSize { get; }

    /// <summary>Gets the codes, int8 <c>[N, K]</c>.</summary>
    public Tensor QData => Components[0].Value;

    /// <summary>Gets the scales <c>[N, K / group]</c>.</summary>
    public Tensor Scale => Components[1].Value;

    public override JsonObject DescribeParameters() => new() { ["group_size"] = GroupSize };

    public override Tensor Dequantize(ScalarType? dtype = null)
    {
        using var qparams = new QParams(Scale.alias());
        return AffineRows.Dequantize(QData, qparams, Int8Grid.Scheme, dtype ?? DType);
    }

    /// <summary>Rebuilds a tensor from a checkpoint.</summary>
    public static Int8Tensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, Int8Format.FormatName);
        reader.RequireExactly(["qdata", "scale"], ["group_size"]);
        long groups = reader.InFeatures / reader.GroupSize();
        return new Int8Tensor(
            stored.DType,
            reader.Component("qdata", stored.Shape, ScalarType.Int8),
            reader.Scales("scale", reader.OutFeatures, groups));
    }

    protected override QuantizedTensor NarrowFeatures(long start, long length)
    {
        (long first, long groups) = NarrowGroups(start, length);
        return new Int8Tensor(DType, Copy(QData, 1, start, length), Copy(Scale, 1, first, groups));
    }

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) =>
        new Int8Tensor(dtype, components[0].Value, components[1].Value);
}
