using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Formats.BitNet;

/// <summary>Codes −1, 0 and 1, four a byte, and one scale.</summary>
internal sealed class BitNetTensor : QuantizedTensor
{
    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="shape">The logical shape <c>[N, K]</c>.</param>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="qdata">Codes, uint8 <c>[N, ⌈K / 4⌉]</c>, the first in the highest bits, −1 as 3.</param>
    /// <param name="scale">The scale, float32 <c>[1, 1]</c>.</param>
    public BitNetTensor(IReadOnlyList<long> shape, ScalarType dtype, Tensor qdata, Tensor scale)
        : base(shape, dtype, new TensorComponent("qdata", qdata), new TensorComponent("scale", scale, IsShared: true))
    {
    }

    public override string Format => BitNetFormat.FormatName;

    public override long GroupSize => Shape[1];

    /// <summary>Gets the packed codes, uint8 <c>[N, ⌈K / 4⌉]</c>.</summary>
    public Tensor QData => Components[0].Value;

    /// <summary>Gets the scale, float32 <c>[1, 1]</c>.</summary>
    public Tensor Scale => Components[1].Value;

    /// <summary>Predicts the bytes of all components.</summary>
    public static long PredictBytes(in WeightFacts weight) =>
        (weight.OutFeatures * BitStreamRows.RowBytes(weight.InFeatures, BitNetGrid.Bits)) + sizeof(float);

    public override JsonObject DescribeParameters() => [];

    public override Tensor Dequantize(ScalarType? dtype = null) => RowBlocks.Compute(Shape[0], Shape[1], (start, count) =>
    {
        using Tensor codes = UnpackCodes(start, count);
        return TernaryQuantization.Dequantize(codes, Scale, dtype ?? DType);
    });

    /// <summary>Gets the codes of some rows, one a byte.</summary>
    /// <returns>int8 <c>[count, K]</c>. The caller disposes them.</returns>
    public Tensor UnpackCodes(long start, long count)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = BitStreamRows.Unpack(QData.narrow(0, start, count), BitNetGrid.Bits, Shape[1]).to_type(ScalarType.Int8);
        return (codes - (codes.bitwise_right_shift(tensor((sbyte)1, device: codes.device)) * 4)).MoveToOuterDisposeScope();
    }

    /// <summary>Rebuilds a tensor from a checkpoint.</summary>
    public static BitNetTensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, BitNetFormat.FormatName);
        reader.RequireExactly(["qdata", "scale"], []);
        Tensor qdata = reader.Component(
            "qdata", [reader.OutFeatures, BitStreamRows.RowBytes(reader.InFeatures, BitNetGrid.Bits)], ScalarType.Byte);
        Tensor scale = reader.Component("scale", [1, 1], ScalarType.Float32);
        RequireTernary(reader, qdata);
        return new BitNetTensor(stored.Shape, stored.DType, qdata, scale);
    }

    protected override QuantizedTensor NarrowFeatures(long start, long length) => new BitNetTensor(
        [Shape[0], length], DType, PackedRows.NarrowFeatures(this, QData, BitNetGrid.Bits, start, length), Scale.clone());

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) =>
        new BitNetTensor(shape, dtype, components[0].Value, components[1].Value);

    // The code 2 would be −2: no weight is rounded to it, and kernels may count on three values.
    private static void RequireTernary(StoredTensorReader reader, Tensor qdata)
    {
        using Tensor wrong = RowBlocks.Compute(qdata.size(0), qdata.size(1), (start, count) =>
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor rows = qdata.narrow(0, start, count);
            Tensor high = rows.bitwise_and(tensor((byte)0b10101010, device: qdata.device));
            Tensor low = rows.bitwise_and(tensor((byte)0b01010101, device: qdata.device)) * 2;
            return high.bitwise_and(low).not_equal(high).any().reshape(1, 1).MoveToOuterDisposeScope();
        });
        using Tensor any = wrong.any();
        if (any.item<bool>())
        {
            throw reader.Wrong("qdata", "the code 2", "0, 1 or 3, which is -1");
        }
    }
}
