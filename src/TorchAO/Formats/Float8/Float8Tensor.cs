using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Float8;

/// <summary>8-bit floating-point codes with a scale for each row or for the whole weight.</summary>
internal sealed class Float8Tensor : QuantizedTensor
{
    private const string PerRow = "per_row";
    private const string PerTensor = "per_tensor";

    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="qdata">Codes <c>[N, K]</c>, float8 e4m3fn or e5m2.</param>
    /// <param name="scale">Scales <c>[N, 1]</c> or <c>[1, 1]</c>.</param>
    public Float8Tensor(ScalarType dtype, Tensor qdata, Tensor scale)
        : base(
            qdata.shape, dtype, new TensorComponent("qdata", qdata),
            new TensorComponent("scale", scale, IsShared: scale.size(0) != qdata.size(0)))
    {
    }

    public override string Format => Float8Format.FormatName;

    public override long GroupSize => Shape[1];

    /// <summary>Gets the codes <c>[N, K]</c>, float8 e4m3fn or e5m2.</summary>
    public Tensor QData => Components[0].Value;

    /// <summary>Gets the scales <c>[N, 1]</c> or <c>[1, 1]</c>.</summary>
    public Tensor Scale => Components[1].Value;

    public override JsonObject DescribeParameters() => new()
    {
        ["granularity"] = Scale.size(0) == Shape[0] ? PerRow : PerTensor,
    };

    public override Tensor Dequantize(ScalarType? dtype = null)
    {
        using var qparams = new QParams(Scale.alias());
        return AffineRows.Dequantize(QData, qparams, Float8Grid.Scheme(QData.dtype), dtype ?? DType);
    }

    /// <summary>Rebuilds a tensor from a checkpoint.</summary>
    public static Float8Tensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, Float8Format.FormatName);
        reader.RequireExactly(["qdata", "scale"], ["granularity"]);
        string granularity = reader.Parameter<string>("granularity");
        long scales = granularity switch
        {
            PerRow => reader.OutFeatures,
            PerTensor => 1,
            _ => throw reader.Wrong("granularity", granularity, $"{PerRow} or {PerTensor}"),
        };
        return new Float8Tensor(
            stored.DType,
            reader.Component("qdata", stored.Shape, ScalarTypes.Float8E4M3, ScalarTypes.Float8E5M2),
            reader.Scales("scale", scales, 1));
    }

    protected override QuantizedTensor NarrowFeatures(long start, long length) =>
        new Float8Tensor(DType, Copy(QData, 1, start, length), Scale.clone());

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) =>
        new Float8Tensor(dtype, components[0].Value, components[1].Value);
}
