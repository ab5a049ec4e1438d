using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Floatx;

/// <summary>Small floats without gaps, and a scale a row.</summary>
internal sealed class FloatxTensor : QuantizedTensor
{
    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="shape">The logical shape <c>[N, K]</c>.</param>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="type">The type of the codes.</param>
    /// <param name="qdata">Codes, uint8 <c>[N, ⌈K · bits / 8⌉]</c>, the first in the highest bits.</param>
    /// <param name="scale">Scales <c>[N, 1]</c>, in the type of the weight.</param>
    public FloatxTensor(IReadOnlyList<long> shape, ScalarType dtype, FloatxType type, Tensor qdata, Tensor scale)
        : base(shape, dtype, new TensorComponent("qdata", qdata), new TensorComponent("scale", scale)) => Type = type;

    public override string Format => FloatxFormat.FormatName;

    public override long GroupSize => Shape[1];

    /// <summary>Gets the type of the codes.</summary>
    public FloatxType Type { get; }

    /// <summary>Gets the codes, uint8 <c>[N, ⌈K · bits / 8⌉]</c>.</summary>
    public Tensor QData => Components[0].Value;

    /// <summary>Gets the scales <c>[N, 1]</c>.</summary>
    public Tensor Scale => Components[1].Value;

    public override JsonObject DescribeParameters() => new() { ["ebits"] = Type.ExponentBits, ["mbits"] = Type.MantissaBits };

    /// <summary>Gets the codes one a byte.</summary>
    /// <returns>uint8 <c>[N, K]</c>. The caller disposes them.</returns>
    public Tensor UnpackCodes() => PackedRows.Unpack(QData, Type.Bits, Shape[1]);

    public override Tensor Dequantize(ScalarType? dtype = null) => PackedRows.Dequantize(
        QData, Type.Bits, Shape[1], Scale, (codes, scales) => FloatxQuantization.Dequantize(codes, scales, Type, dtype ?? DType));

    /// <summary>Rebuilds a tensor from a checkpoint.</summary>
    public static FloatxTensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, FloatxFormat.FormatName);
        reader.RequireExactly(["qdata", "scale"], ["ebits", "mbits"]);
        (int exponent, int mantissa) = (reader.Parameter<int>("ebits"), reader.Parameter<int>("mbits"));
        if (FPXWeightOnlyConfig.ReasonUnsupported(exponent, mantissa) is { } reason)
        {
            throw reader.Wrong("ebits and mbits", $"{exponent} and {mantissa}", reason);
        }

        var type = new FloatxType(exponent, mantissa);
        Tensor qdata = reader.Component(
            "qdata", [reader.OutFeatures, BitStreamRows.RowBytes(reader.InFeatures, type.Bits)], ScalarType.Byte);
        return new FloatxTensor(stored.Shape, stored.DType, type, qdata, reader.Scales("scale", reader.OutFeatures, 1));
    }

    protected override QuantizedTensor NarrowFeatures(long start, long length) => new FloatxTensor(
        [Shape[0], length], DType, Type, PackedRows.NarrowFeatures(this, QData, Type.Bits, start, length), Scale.clone());

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) =>
        new FloatxTensor(shape, dtype, Type, components[0].Value, components[1].Value);
}
