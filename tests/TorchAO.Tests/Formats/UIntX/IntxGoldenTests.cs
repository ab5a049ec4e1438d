using System.Globalization;
using TorchAO.Formats.UIntX;
using TorchAO.Primitives;
using TorchAO.Tests.Golden;
using TorchAO.Tests.Golden.Handlers;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.UIntX;

/// <summary>The weights of torchao's experimental configs; its activations are another matter.</summary>
public sealed class IntxGoldenTests
{
    public static TheoryData<string> Recorded => [.. GoldenSet.Current.Cases.Where(IsExperimental).Select(c => c.Id)];

    [Theory]
    [MemberData(nameof(Recorded))]
    public void A_signed_weight_has_the_codes_and_parameters_of_torchao(string id)
    {
        using DisposeScope scope = NewDisposeScope();
        GoldenCase recorded = GoldenSet.Current[id];
        IntxWeightOnlyConfig config = Config(recorded);
        using var weight = (UIntXTensor)WeightOnly.Quantize(
            config, GoldenSet.Current.Read(recorded.Area, recorded.Inputs["weight"]));
        int middle = 1 << (weight.Bits - 1);
        Tensor zeros = weight.ZeroPoint is { } stored
            ? stored.to(ScalarType.Int32) - middle
            : zeros_like(weight.Scale, dtype: ScalarType.Int32);

        Assert.Multiple(
            () => Same(recorded, "w_q", weight.UnpackCodes().to(ScalarType.Int32) - middle),
            () => Same(recorded, "w_scale", weight.Scale),
            () => Same(recorded, "w_zero_point", zeros),
            () => Same(recorded, "w_dequant", weight.Dequantize()));
    }

    [Fact]
    public void Six_bits_are_six()
    {
        using DisposeScope scope = NewDisposeScope();
        GoldenCase recorded = GoldenSet.Current.Cases.First(c => c.Has("weight_dtype") && c.Text("weight_dtype") == "int6");
        using var weight = (UIntXTensor)WeightOnly.Quantize(
            Config(recorded), GoldenSet.Current.Read(recorded.Area, recorded.Inputs["weight"]));

        Assert.Equal(4, Width(recorded));
        Assert.Equal(6, weight.Bits);
    }

    private static void Same(GoldenCase recorded, string name, Tensor actual)
    {
        if (recorded.Outputs.TryGetValue(name, out GoldenTensor? output))
        {
            Tensor expected = GoldenSet.Current.Read(recorded.Area, output);
            Tensor shaped = actual.reshape(expected.shape).to(expected.dtype);
            Assert.True(GoldenComparison.Explain(shaped, expected, output.Tolerance) is null, $"{recorded.Id}: {name}");
        }
    }

    private static bool IsExperimental(GoldenCase recorded) =>
        recorded.Has("weight_dtype") && recorded.Has("weight_mapping_type") && recorded.Outputs.ContainsKey("w_q")
        && Width(recorded) == Bits(recorded);

    private static int Width(GoldenCase recorded) => (int)Math.Log2(recorded.Int("quant_max") - recorded.Int("quant_min") + 1);

    private static int Bits(GoldenCase recorded) => recorded.Text("weight_dtype")[^1] - '0';

    private static IntxWeightOnlyConfig Config(GoldenCase recorded)
    {
        string granularity = recorded.Text("granularity");
        return new IntxWeightOnlyConfig
        {
            WeightDType = QuantizedType.Named(recorded.Text("weight_dtype")),
            Granularity = granularity.StartsWith("PerRow", StringComparison.Ordinal)
                ? new PerRow()
                : new PerGroup(long.Parse(granularity.Split('=', ')')[1], CultureInfo.InvariantCulture)),
            MappingType = recorded.Text("weight_mapping_type") == "ASYMMETRIC" ? MappingType.Asymmetric : MappingType.Symmetric,
            HasWeightZeros = recorded.Flag("has_weight_zeros", otherwise: false),
        };
    }
}
