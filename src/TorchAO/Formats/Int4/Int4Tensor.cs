using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4;

/// <summary>4-bit codes, two a byte, with a scale and perhaps a zero point for each row or group.</summary>
internal sealed class Int4Tensor : PackedCodesTensor
{
    private const string ChannelScaleName = "channel_scale";

    private readonly Tensor? combinedScale;

    /// <summary>Creates the tensor over its components, which it owns.</summary>
    /// <param name="shape">The logical shape <c>[N, K]</c>; K may be odd.</param>
    /// <param name="dtype">The type of the weight that was quantized.</param>
    /// <param name="qdata">Codes, uint8 <c>[N, ⌈K / 2⌉]</c>, the even one in the low half.</param>
    /// <param name="scale">Scales <c>[N, K / group]</c>, in the type of the weight that was quantized; in float16 and in steps
    /// of <paramref name="channelScale"/> where there is one.</param>
    /// <param name="zeroPoint"><c>[N, K / group]</c>: in a floating-point type the values of code 8; in uint8 or int32 the codes of
    /// value 0; <see langword="null"/> where code 8 stands for 0.</param>
    /// <param name="channelScale">float32 <c>[N, 1]</c>, the second level of scales; <see langword="null"/> where there is one.</param>
    public Int4Tensor(
        IReadOnlyList<long> shape, ScalarType dtype, Tensor qdata, Tensor scale, Tensor? zeroPoint, Tensor? channelScale = null)
        : this(shape, dtype, WithChannelScale(ToComponents(qdata, scale, zeroPoint), channelScale))
    {
    }

    private Int4Tensor(IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components)
        : base(shape, dtype, 4, components)
    {
        // Kernels and algorithms see one scale a group: a product of two is 1/32 of the weight's bytes, and paid for once.
        combinedScale = ChannelScale is { } channel
            ? TwoLevelQParams.Combine(GroupScale, channel, dtype).DetachFromDisposeScope()
            : null;
    }

    /// <summary>Gets the scales <c>[N, K / group]</c>, by which codes become values; of two levels the product.</summary>
    public override Tensor Scale => combinedScale ?? GroupScale;

    /// <summary>Gets the scales of groups <c>[N, K / group]</c> as they are stored.</summary>
    public Tensor GroupScale => base.Scale;

    /// <summary>Gets the scales of rows, float32 <c>[N, 1]</c>, in whose steps those of groups are;
    /// <see langword="null"/> where there is one level.</summary>
    public Tensor? ChannelScale => Find(ChannelScaleName);

    public override string Format => Int4Format.FormatName;

    public override JsonObject DescribeParameters()
    {
        var parameters = new JsonObject
        {
            ["group_size"] = GroupSize,
            [StoredTensorReader.DomainParameter] = StoredTensorReader.DomainText(ZeroPoint),
        };
        if (ChannelScale is not null)
        {
            parameters[ChannelScaleName] = true;
        }

        return parameters;
    }

    /// <summary>Rebuilds a tensor from a checkpoint.</summary>
    public static Int4Tensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, Int4Format.FormatName);
        ZeroPointDomain domain = reader.ZeroPointDomain();
        bool isTwoLevel = stored.Parameters.ContainsKey(ChannelScaleName) && reader.Parameter<bool>(ChannelScaleName);
        string[] zeroPoint = domain == ZeroPointDomain.None ? [] : ["zero_point"];
        string[] channel = isTwoLevel ? [ChannelScaleName] : [];
        reader.RequireExactly(
            ["qdata", "scale", .. zeroPoint, .. channel], ["group_size", StoredTensorReader.DomainParameter, .. channel]);
        long groups = reader.InFeatures / reader.GroupSize();
        return new Int4Tensor(
            stored.Shape,
            stored.DType,
            reader.Component("qdata", [reader.OutFeatures, (reader.InFeatures + 1) / 2], ScalarType.Byte),
            reader.Scales("scale", reader.OutFeatures, groups),
            reader.ZeroPoints("zero_point", domain, reader.OutFeatures, groups),
            isTwoLevel ? reader.Component(ChannelScaleName, [reader.OutFeatures, 1], ScalarType.Float32) : null);
    }

    protected override Tensor Unpack(Tensor packed) => NibblePacking.Unpack(packed, Shape[1]);

    protected override Tensor NarrowPacked(long start, long length)
    {
        bool endsInside = start + length < Shape[1];
        return start % 2 == 0 && (!endsInside || length % 2 == 0)
            ? Copy(QData, 1, start / 2, (length + 1) / 2)
            : throw new QuantizationException(
                $"{Format} weight [{Shape[0]}, {Shape[1]}]: input features {start} to {start + length - 1} split a byte, which " +
                "holds two; begin at an even feature and take an even count.");
    }

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) =>
        new Int4Tensor(shape, dtype, components);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            combinedScale?.Dispose();
        }

        base.Dispose(disposing);
    }

    private static IReadOnlyList<TensorComponent> WithChannelScale(
        IReadOnlyList<TensorComponent> components, Tensor? channelScale) =>
        channelScale is null ? components : [.. components, new(ChannelScaleName, channelScale)];
}
