using TorchAO.Formats.Mx;
using TorchAO.Numerics;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchAO.Tests.Golden.Handlers;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Sqnr;

/// <summary>The MX rows of <c>sqnr.json</c>: their products have both operands in MX, so the weight alone is compared.</summary>
public sealed class MxSqnrTests
{
    private const double Decibels = 0.3;

    private static readonly (string Name, ScaleRounding Rounding)[] Modes =
        [("FLOOR", ScaleRounding.Floor), ("CEIL", ScaleRounding.Ceiling), ("EVEN", ScaleRounding.Even)];

    private static readonly (string Name, MxElementType Type)[] Elements =
    [
        ("e4m3", MxElementType.Float8E4M3), ("e5m2", MxElementType.Float8E5M2), ("fp6_e2m3", MxElementType.Float6E2M3),
        ("fp6_e3m2", MxElementType.Float6E3M2), ("fp4_e2m1", MxElementType.Float4E2M1),
    ];

    public static TheoryData<string> Rows =>
        [.. SqnrTable.Current.Rows.Keys.Where(name => name.StartsWith("mx_", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Rows))]
    public void A_big_weight_is_as_accurate_as_torchaos(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        (string Name, MxElementType Type) element = Elements.Single(known => name.StartsWith($"mx_{known.Name}_", StringComparison.Ordinal));
        var config = new MxWeightOnlyConfig
        {
            ElementType = element.Type,
            ScalingMode = Modes.Single(mode => name.EndsWith($"_{mode.Name}", StringComparison.Ordinal)).Rounding,
        };
        Tensor weight = randn([1024, 1024], generator: new Generator(1, CPU)) / 32;
        using QuantizedTensor quantized = WeightOnly.Quantize(config, weight);

        double ofWeight = Accuracy.Decibels(weight, quantized.Dequantize());

        double bar = SqnrTable.Current.Rows[name].Weight!.Value;
        Assert.InRange(ofWeight, bar - Decibels, bar + Decibels);
    }
}
