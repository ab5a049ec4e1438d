using TorchAO.Configuration;
using TorchAO.Modules;
using TorchAO.Tests.Golden.Handlers;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Sqnr;

/// <summary>A big layer is as accurate as torchao's, for each config that both have.</summary>
public sealed class SqnrTests(ITestOutputHelper output)
{
    private static readonly Dictionary<string, SqnrConfig> Configs = typeof(ISqnrConfigs).Assembly.GetTypes()
        .Where(type => type.IsAssignableTo(typeof(ISqnrConfigs)) && type is { IsClass: true, IsAbstract: false })
        .SelectMany(type => ((ISqnrConfigs)Activator.CreateInstance(type)!).Rows)
        .ToDictionary(row => row.Key, row => row.Value);

    public static TheoryData<string> Mapped => [.. Configs.Keys];

    [Theory]
    [MemberData(nameof(Mapped))]
    public void A_big_layer_is_as_accurate_as_torchaos(string name)
    {
        SqnrRow recorded = SqnrTable.Current.Rows[name];
        SqnrConfig ours = Configs[name];
        using DisposeScope scope = NewDisposeScope();
        var generator = new Generator(1, CPU);
        Tensor weight = randn([1024, 1024], generator: generator) / 32;
        Tensor bias = randn([1024], generator: generator) / 10;
        Tensor x = randn([64, 1024], generator: generator);
        QuantizeConfig config = Calibrated(ours.Config, weight, x.to(recorded.Type));
        using QuantizedLinear layer = WeightOnly.Layer(
            config, weight.to(recorded.Type, copy: true), bias.to(recorded.Type, copy: true));
        using IDisposable noGradient = no_grad();

        double ofOutput = Accuracy.Decibels(nn.functional.linear(x, weight, bias), layer.call(x.to(recorded.Type)));
        double ofWeight = Accuracy.Decibels(weight, layer.Weight.Dequantize());

        output.WriteLine($"{name}: output {ofOutput:f2} dB, torchao {recorded.Output}; weight {ofWeight:f2}, torchao {recorded.Weight}");
        if (ours.IsDefect)
        {
            Assert.InRange(ofOutput, recorded.Output + 20, double.PositiveInfinity);
            return;
        }

        // Better is no fault: torchao rounds the dequantized weight to bfloat16 before it multiplies, our kernels need not.
        Assert.InRange(ofOutput, recorded.Output - ours.Tolerance, recorded.Type == ScalarType.Float32
            ? recorded.Output + ours.Tolerance
            : double.PositiveInfinity);
        if (recorded.Weight is { } bar)
        {
            Assert.InRange(ofWeight, bar - ours.Tolerance, bar + ours.Tolerance);
        }
    }

    private static QuantizeConfig Calibrated(QuantizeConfig config, Tensor weight, Tensor input)
    {
        if (config is not IStaticActivationConfig { NeedsRange: true } asking)
        {
            return config;
        }

        using Linear layer = nn.Linear(weight.size(1), weight.size(0), dtype: input.dtype);
        return layer.Calibrate(input).ToRules(asking).Single().Config!;
    }

    [Fact]
    public void Rows_without_a_config_are_listed()
    {
        string[] missing = [.. SqnrTable.Current.Rows.Keys.Except(Configs.Keys)];
        output.WriteLine($"{Configs.Count} of {SqnrTable.Current.Rows.Count} rows; missing: {string.Join(", ", missing)}");

        Assert.Empty(Configs.Keys.Except(SqnrTable.Current.Rows.Keys));
    }
}
