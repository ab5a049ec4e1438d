using System.Text.Json;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Formats.UIntX;
using TorchAO.Modules;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>What the handlers of weight-only cases share: reading torchao's config, and quantizing with ours.</summary>
internal static class WeightOnly
{
    /// <summary>Whether a case's config is one of ours, without options that we do not have.</summary>
    public static bool HasConfig(GoldenCase recorded) =>
        recorded.Area == "B" && recorded.Has("config") && recorded.Text("config") switch
        {
            "Int8WeightOnlyConfig" or "Float8WeightOnlyConfig" or "UIntXWeightOnlyConfig" => true,
            "Int4WeightOnlyConfig" => HasTinygemmArithmetic(recorded),
            _ => false,
        };

    /// <summary>Makes our config of torchao's.</summary>
    public static QuantizeConfig Config(GoldenCase recorded)
    {
        // An argument that a case does not record has torchao's default, which is ours too.
        JsonElement? size = Argument(recorded, "group_size"), type = Argument(recorded, "weight_dtype");
        long? group = size is { ValueKind: JsonValueKind.Number } given ? given.GetInt64() : null;
        return recorded.Text("config") switch
        {
            "Int8WeightOnlyConfig" => new Int8WeightOnlyConfig { GroupSize = group },
            "Int4WeightOnlyConfig" => size is null
                ? new Int4WeightOnlyConfig { UseHqq = UsesHqq(recorded) }
                : new() { GroupSize = group, UseHqq = UsesHqq(recorded) },
            "UIntXWeightOnlyConfig" => new UIntXWeightOnlyConfig
            {
                DType = QuantizedType.Named(Argument(recorded, "dtype")!.Value.GetString()!),
                GroupSize = group,
                PackDim = Argument(recorded, "pack_dim")!.Value.GetInt32(),
                UseHqq = UsesHqq(recorded),
            },
            _ => type is null
                ? new Float8WeightOnlyConfig()
                : new() { WeightDType = GoldenDtype.Parse(type.Value.GetString()!) },
        };
    }

    /// <summary>Quantizes a weight; the caller disposes it.</summary>
    public static QuantizedTensor Quantize(QuantizeConfig config, Tensor weight) =>
        BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);

    /// <summary>Makes a layer; the caller disposes it.</summary>
    public static QuantizedLinear Layer(QuantizeConfig config, Tensor weight, Tensor? bias) =>
        Layer(Quantize(config, weight), bias, BuiltInFormats.Catalog.Handler(config).Activation(config));

    /// <summary>Makes a layer of a quantized weight, which it owns; the caller disposes it.</summary>
    public static QuantizedLinear Layer(QuantizedTensor quantized, Tensor? bias, ActivationScheme? activation = null) => new(
        BuiltInFormats.Catalog.Format(quantized.Format).CreateExecutor(quantized, activation: activation),
        bias is null ? null : new Parameter(bias));

    /// <summary>Whether codes and zero points come from half-quadratic quantization.</summary>
    public static bool UsesHqq(GoldenCase recorded) =>
        Argument(recorded, "use_hqq") is { ValueKind: JsonValueKind.True };

    /// <summary>Whether zero points are HQQ's own, codes, in a layout that takes them for values: a defect of torchao 0.9.</summary>
    public static bool MistakesZeroPoints(GoldenCase recorded) =>
        UsesHqq(recorded) && recorded.Has("layout") && recorded.Text("layout").StartsWith("Int4CPULayout", StringComparison.Ordinal);

    private static bool HasTinygemmArithmetic(GoldenCase recorded)
    {
        string layout = recorded.Has("layout") ? recorded.Text("layout")
            : Argument(recorded, "layout") is { ValueKind: JsonValueKind.String } given ? given.GetString()!
            : "TensorCoreTiledLayout";
        bool isUsualDomain = Argument(recorded, "zero_point_domain") is not { } domain || domain.GetString() is "NONE" or "FLOAT";
        return isUsualDomain && (layout.StartsWith("TensorCoreTiledLayout", StringComparison.Ordinal)
            || layout.StartsWith("Int4CPULayout", StringComparison.Ordinal));
    }

    private static JsonElement? Argument(GoldenCase recorded, string name) =>
        recorded.Has("config_args") && recorded.Params.GetProperty("config_args").TryGetProperty(name, out JsonElement value)
            ? value
            : null;
}
