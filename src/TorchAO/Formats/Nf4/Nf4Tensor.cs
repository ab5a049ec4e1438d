using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Formats.Nf4;

/// <summary>Codes of four bits, scales of eight, and what the scales were rounded with.</summary>
internal sealed class Nf4Tensor : QuantizedTensor
{
    /// <summary>Bits of a code.</summary>
    public const int Bits = 4;

    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="shape">The logical shape <c>[N, K]</c>.</param>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="qdata">Codes, uint8 <c>[N, K / 2]</c>, the first in the high half.</param>
    /// <param name="scale">Codes of the scales, int8 <c>[N, K / block]</c>.</param>
    /// <param name="factor">What the scales' codes are divided by, <c>[N, units]</c>: one for each run of K / block / units scales.</param>
    /// <param name="mean">What is added then, <c>[1, 1]</c>.</param>
    public Nf4Tensor(IReadOnlyList<long> shape, ScalarType dtype, Tensor qdata, Tensor scale, Tensor factor, Tensor mean)
        : base(
            shape, dtype, new TensorComponent("qdata", qdata), new TensorComponent("scale", scale),
            new TensorComponent("factor", factor), new TensorComponent("mean", mean, IsShared: true)) => GroupSize = Shape[1] / Scale.size(1);

    public override string Format => Nf4Format.FormatName;

    public override long GroupSize { get; }

    /// <summary>Gets the codes, uint8 <c>[N, K / 2]</c>.</summary>
    public Tensor QData => Components[0].Value;

    /// <summary>Gets the codes of the scales, int8 <c>[N, K / block]</c>.</summary>
    public Tensor Scale => Components[1].Value;

    /// <summary>Gets what the scales' codes are divided by, <c>[N, units]</c>.</summary>
    public Tensor Factor => Components[2].Value;

    /// <summary>Gets what is added to the scales, <c>[1, 1]</c>.</summary>
    public Tensor Mean => Components[3].Value;

    private long Unit => Scale.size(1) / Factor.size(1);

    public override JsonObject DescribeParameters() => new() { ["block_size"] = GroupSize, ["scales_per_factor"] = Unit };

    /// <summary>Computes the scales.</summary>
    /// <returns>Scales <c>[N, K / block]</c> in the type of the weight that was quantized. The caller disposes them.</returns>
    public Tensor DequantizeScale()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = Scale.reshape(Scale.size(0), Factor.size(1), -1);
        return Nf4Quantization.DequantizeScale(codes, Factor.unsqueeze(2), Mean.unsqueeze(2)).reshape(Scale.shape)
            .MoveToOuterDisposeScope();
    }

    public override Tensor Dequantize(ScalarType? dtype = null)
    {
        using Tensor scale = DequantizeScale();
        return PackedRows.Dequantize(
            QData, Bits, Shape[1], scale, (codes, scales) => Nf4Quantization.Dequantize(codes, scales, dtype ?? DType));
    }

    /// <summary>Rebuilds a tensor from a checkpoint.</summary>
    public static Nf4Tensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, Nf4Format.FormatName);
        reader.RequireExactly(["qdata", "scale", "factor", "mean"], ["block_size", "scales_per_factor"]);
        long block = reader.Parameter<long>("block_size");
        if (block <= 0 || block % 2 != 0 || reader.InFeatures % block != 0)
        {
            throw reader.Wrong("block_size", $"{block}", $"an even divisor of in_features {reader.InFeatures}");
        }

        long blocks = reader.InFeatures / block;
        long unit = reader.Parameter<long>("scales_per_factor");
        if (unit <= 0 || blocks % unit != 0)
        {
            throw reader.Wrong("scales_per_factor", $"{unit}", $"a positive divisor of the {blocks} scales of a row");
        }

        return new Nf4Tensor(
            stored.Shape,
            stored.DType,
            reader.Component("qdata", [reader.OutFeatures, reader.InFeatures / 2], ScalarType.Byte),
            reader.Component("scale", [reader.OutFeatures, blocks], ScalarType.Int8),
            reader.Scales("factor", reader.OutFeatures, blocks / unit),
            reader.Scales("mean", 1, 1));
    }

    protected override QuantizedTensor NarrowFeatures(long start, long length)
    {
        (long first, long blocks) = NarrowGroups(start, length);
        using DisposeScope scope = NewDisposeScope();

        // A factor for each scale, so that the cut may go through a unit; then one for each run again.
        Tensor each = Factor.repeat_interleave(Unit, dim: 1).narrow(1, first, blocks);
        long unit = Nf4Grid.UnitOf(Nf4Grid.UnitOf(Unit, first % Unit), blocks);
        return new Nf4Tensor(
            [Shape[0], length],
            DType,
            PackedRows.NarrowFeatures(this, QData, Bits, start, length),
            Copy(Scale, 1, first, blocks),
            each.reshape(Shape[0], -1, unit).select(2, 0).clone(),
            Mean.clone());
    }

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) => new Nf4Tensor(
            shape, dtype, components[0].Value, components[1].Value, components[2].Value, components[3].Value);
}
