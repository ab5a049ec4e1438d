using System.Text.Json;
using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>What the handlers of cases with rounded activations share: reading torchao's config.</summary>
internal static class DynamicActivation
{
    /// <summary>Whether a case's config rounds activations and is one of ours.</summary>
    public static bool HasConfig(GoldenCase recorded) =>
        recorded.Area == "B" && recorded.Has("config") && recorded.Text("config") switch
        {
            "Int8DynamicActivationInt8WeightConfig" or "Int4DynamicActivationInt4WeightConfig"
                or "Float8DynamicActivationFloat8WeightConfig" or "Float8StaticActivationFloat8WeightConfig" => true,
            "Int8DynamicActivationInt4WeightConfig" => !Text(recorded, "layout", "PlainLayout").StartsWith("MarlinQQQ", StringComparison.Ordinal),
            _ => false,
        };

    /// <summary>Makes our config of torchao's.</summary>
    /// <param name="recorded">The case.</param>
    /// <param name="staticScale">The activations' scale, where the case has one.</param>
    public static QuantizeConfig Config(GoldenCase recorded, float? staticScale = null) => recorded.Text("config") switch
    {
        "Int8DynamicActivationInt8WeightConfig" => new Int8DynamicActivationInt8WeightConfig
        {
            ActMappingType = Mapping(recorded, "act_mapping_type", MappingType.Symmetric),
            WeightOnlyDecode = Argument(recorded, "weight_only_decode") is { ValueKind: JsonValueKind.True },
        },
        "Int8DynamicActivationInt4WeightConfig" => new Int8DynamicActivationInt4WeightConfig
        {
            GroupSize = Argument(recorded, "group_size") is { ValueKind: JsonValueKind.Number } size ? size.GetInt64() : null,
            MappingType = Mapping(recorded, "mapping_type", MappingType.Symmetric),
            ActMappingType = Mapping(recorded, "act_mapping_type", MappingType.Asymmetric),
        },
        "Int4DynamicActivationInt4WeightConfig" => new Int4DynamicActivationInt4WeightConfig
        {
            MappingType = Mapping(recorded, "mapping_type", MappingType.Symmetric),
            ActMappingType = Mapping(recorded, "act_mapping_type", MappingType.Symmetric),
        },
        "Float8DynamicActivationFloat8WeightConfig" => new Float8DynamicActivationFloat8WeightConfig
        {
            Granularity = Text(recorded, "granularity", "PerTensor").StartsWith("PerRow", StringComparison.Ordinal)
                ? Float8Granularity.PerRow
                : Float8Granularity.PerTensor,
        },
        _ => new Float8StaticActivationFloat8WeightConfig { Scale = staticScale },
    };

    /// <summary>Whether torchao refuses a config for its layout, which is a kernel's business here.</summary>
    public static bool AsksForLayoutAlone(GoldenCase recorded) =>
        recorded.ExpectedError?.Contains("layout is supported", StringComparison.Ordinal) == true;

    /// <summary>Packs signed 4-bit codes as torchao's CUTLASS layout does: the second of a pair in the high half of an int8.</summary>
    public static Tensor PackSigned(Tensor codes)
    {
        Tensor nibbles = codes.to(ScalarType.Int32).bitwise_and(tensor(15)).reshape(codes.size(0), -1, 2);
        Tensor bytes = nibbles.select(2, 0) + (nibbles.select(2, 1) * 16);
        return (bytes - (bytes.ge(128).to(ScalarType.Int32) * 256)).to(ScalarType.Int8);
    }

    private static MappingType Mapping(GoldenCase recorded, string name, MappingType otherwise) =>
        Text(recorded, name, string.Empty) switch
        {
            "" => otherwise,
            "SYMMETRIC" => MappingType.Symmetric,
            "SYMMETRIC_NO_CLIPPING_ERR" => MappingType.SymmetricNoClippingError,
            "ASYMMETRIC" => MappingType.Asymmetric,
            string other => throw new InvalidDataException($"{recorded.Id}: {name} is {other}"),
        };

    private static string Text(GoldenCase recorded, string name, string otherwise) =>
        Argument(recorded, name) is { ValueKind: JsonValueKind.String } given ? given.GetString()! : otherwise;

    private static JsonElement? Argument(GoldenCase recorded, string name) =>
        recorded.Has("config_args") && recorded.Params.GetProperty("config_args").TryGetProperty(name, out JsonElement value)
            ? value
            : null;
}
