using System.Globalization;
using BenchmarkDotNet.Parameters;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>The weight and the config of a benchmark, from its parameters.</summary>
/// <param name="OutFeatures">N.</param>
/// <param name="InFeatures">K.</param>
/// <param name="Config">What the weight is quantized with.</param>
internal sealed record WeightCase(long OutFeatures, long InFeatures, QuantizeConfig Config)
{
    /// <summary>The parameter that has N and K, such as <c>4096x14336</c>.</summary>
    public const string SizeParameter = "Size";

    /// <summary>The parameter that has the config.</summary>
    public const string ConfigParameter = "Config";

    /// <summary>Gets the bytes of the weight in float32.</summary>
    public long FloatBytes => sizeof(float) * OutFeatures * InFeatures;

    /// <summary>Gets the bytes of the quantized weight, scales included.</summary>
    public long QuantizedBytes => BuiltInFormats.Catalog.Handler(Config).PredictBytes(
        new WeightFacts(OutFeatures, InFeatures, ScalarType.Float32, DeviceType.CPU), Config);

    /// <summary>Reads texts.</summary>
    public static WeightCase Parse(string size, string config)
    {
        string[] parts = size.Split('x');
        return new(
            long.Parse(parts[0], CultureInfo.InvariantCulture), long.Parse(parts[1], CultureInfo.InvariantCulture),
            ConfigText.Parse(BuiltInFormats.Catalog, config));
    }

    /// <summary>Reads the parameters of a benchmark.</summary>
    public static WeightCase Of(ParameterInstances parameters) =>
        Parse((string)parameters[SizeParameter], (string)parameters[ConfigParameter]);
}
