using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Modules;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tests.Golden.Handlers;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden;

/// <summary>Weight-only configs: that no recorded case is left out, and the accuracy that torchao measured.</summary>
public sealed class WeightOnlyTests
{
    /// <summary>Two draws of the recorded layer differed by up to 0.19 dB; its notes allow 0.3.</summary>
    private const double Decibels = 0.3;

    /// <summary>The rows of <c>sqnr.json</c>: config, type, SQNR of the output and of the weight.</summary>
    public static TheoryData<string, ScalarType, double, double> Bars => new()
    {
        { "int8", ScalarType.BFloat16, 40.63, 41.2 },
        { "int8_g32", ScalarType.BFloat16, 43.07, 43.89 },
        { "int8", ScalarType.Float32, 42.11, 42.09 },
        { "int4_g32", ScalarType.BFloat16, 22.08, 22.09 },
        { "int4_g32", ScalarType.Float32, 22.12, 22.13 },
        { "int4_g64", ScalarType.Float32, 20.97, 20.95 },
        { "int4_g128", ScalarType.BFloat16, 20.02, 19.98 },
        { "int4_g128", ScalarType.Float32, 20.06, 20.02 },
        { "int4_g256", ScalarType.Float32, 19.24, 19.25 },
        { "float8_e4m3", ScalarType.BFloat16, 31.46, 31.46 },
        { "float8_e5m2", ScalarType.BFloat16, 25.54, 25.56 },
    };

    [Fact]
    public void Every_case_of_our_configs_has_a_handler()
    {
        IGoldenHandler[] handlers =
        [
            new WeightOnlyLinearHandler(), new WeightOnlyModelHandler(), new WeightOnlyRefusalHandler(),
            new WeightOperationsHandler(),
        ];

        GoldenCase[] missing =
        [
            .. GoldenSet.Current.Cases.Where(c => WeightOnly.HasConfig(c) && !handlers.Any(h => h.Handles(c))),
        ];

        Assert.Empty(missing.Select(c => c.Id));
    }

    [Theory]
    [MemberData(nameof(Bars))]
    public void A_big_layer_is_as_accurate_as_torchaos(string name, ScalarType type, double output, double weightOnly)
    {
        using DisposeScope scope = NewDisposeScope();
        var generator = new Generator(1, CPU);
        Tensor weight = randn([1024, 1024], generator: generator) / 32;
        Tensor bias = randn([1024], generator: generator) / 10;
        Tensor x = randn([64, 1024], generator: generator);
        using QuantizedLinear layer = WeightOnly.Layer(Config(name), weight.to(type, copy: true), bias.to(type, copy: true));
        using IDisposable noGradient = no_grad();

        double ofOutput = Sqnr(nn.functional.linear(x, weight, bias), layer.call(x.to(type)));
        double ofWeight = Sqnr(weight, layer.Weight.Dequantize());

        Assert.InRange(ofOutput, output - Decibels, double.PositiveInfinity);
        Assert.InRange(ofWeight, weightOnly - Decibels, double.PositiveInfinity);
    }

    private static QuantizeConfig Config(string name) => name switch
    {
        "int8" => new Int8WeightOnlyConfig(),
        "int8_g32" => new Int8WeightOnlyConfig { GroupSize = 32 },
        "float8_e4m3" => new Float8WeightOnlyConfig(),
        "float8_e5m2" => new Float8WeightOnlyConfig { WeightDType = ScalarTypes.Float8E5M2 },
        _ => new Int4WeightOnlyConfig
        {
            GroupSize = long.Parse(name["int4_g".Length..], System.Globalization.CultureInfo.InvariantCulture),
        },
    };

    private static double Sqnr(Tensor expected, Tensor actual)
    {
        Tensor reference = expected.to(ScalarType.Float32);
        Tensor error = reference - actual.to(ScalarType.Float32);
        return 20 * Math.Log10(reference.norm().item<float>() / error.norm().item<float>());
    }
}
