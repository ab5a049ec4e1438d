using System.Text.Json.Nodes;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Half;

/// <summary>Weights in 16-bit floating point.</summary>
internal sealed class HalfTensor : QuantizedTensor
{
    private const string TypeParameter = "dtype";

    /// <summary>Creates the tensor over its component, which it owns.</summary>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="qdata">Values <c>[N, K]</c>, bfloat16 or float16.</param>
    public HalfTensor(ScalarType dtype, Tensor qdata)
        : base(qdata.shape, dtype, new TensorComponent("qdata", qdata))
    {
    }

    public override string Format => HalfFormat.FormatName;

    public override long GroupSize => Shape[1];

    /// <summary>Gets the values <c>[N, K]</c>, bfloat16 or float16.</summary>
    public Tensor QData => Components[0].Value;

    public override JsonObject DescribeParameters() => new() { [TypeParameter] = NameOf(QData.dtype) };

    public override Tensor Dequantize(ScalarType? dtype = null) => QData.to(dtype ?? DType, copy: true);

    /// <summary>Rebuilds a tensor from a checkpoint.</summary>
    public static HalfTensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, HalfFormat.FormatName);
        reader.RequireExactly(["qdata"], [TypeParameter]);
        string type = reader.Parameter<string>(TypeParameter);
        Tensor qdata = reader.Component("qdata", stored.Shape, ScalarType.BFloat16, ScalarType.Float16);
        return NameOf(qdata.dtype) == type
            ? new HalfTensor(stored.DType, qdata)
            : throw reader.Wrong(TypeParameter, type, $"{NameOf(qdata.dtype)}, the type of qdata");
    }

    protected override QuantizedTensor NarrowFeatures(long start, long length) => new HalfTensor(DType, Copy(QData, 1, start, length));

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) => new HalfTensor(dtype, components[0].Value);

    private static string NameOf(ScalarType type) => type == ScalarType.BFloat16 ? "bfloat16" : "float16";
}
