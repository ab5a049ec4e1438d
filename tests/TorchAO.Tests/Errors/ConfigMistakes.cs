using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Primitives;
using TorchAO.Tests.Lifecycle;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Errors;

/// <summary>Mistakes in a config, and in the text of one.</summary>
internal static class ConfigMistakes
{
    private const string Section = "Configs";

    public static Mistake[] All { get; } =
    [
        Option("A group size is no count", new Int8WeightOnlyConfig { GroupSize = 0 }),
        Option("A narrow range is asked of an asymmetric grid", new Int4WeightOnlyConfig { NarrowRange = true }),
        Option("A mapping does not exist", new Int4WeightOnlyConfig { GroupSize = 32, MappingType = (MappingType)7 }),
        Option("QQQ is asked of groups that its kernels do not take", new Int8DynamicActivationInt4WeightConfig
        {
            ActMappingType = MappingType.Symmetric,
            UseQqq = true,
        }),
        Option("QQQ is asked of activations with zero points", new Int8DynamicActivationInt4WeightConfig { GroupSize = 128, UseQqq = true }),
        Option("A float8 type does not exist", new Float8WeightOnlyConfig { WeightDType = ScalarType.Float32 }),
        Option("A granularity does not exist", new Float8WeightOnlyConfig { Granularity = (Float8Granularity)7 }),
        Text("A config's name is misspelt", "int4_weight_onyl"),
        Text("An option's name is misspelt", "int4_weight_only(grup_size=32)"),
        Text("An option's value cannot be read", "int4_weight_only(group_size=many)"),
        Text("An option's value is no member", "int4_weight_only(mapping_type=sideways)"),
        Text("An option has no name", "int4_weight_only(32)"),
        Text("An option stands twice", "int4_weight_only(group_size=32, group_size=64)"),
        Text("A bracket is not closed", "int4_weight_only(group_size=32"),
        new(Section, "A config in JSON has no name", () => Answer.Of(Assert.Throws<QuantizationException>(
            () => ConfigText.FromJson(BuiltInFormats.Catalog, new() { ["group_size"] = 32 })))),
        new(Section, "A format is not registered", () => Answer.Of(Assert.Throws<QuantizationException>(
            () => BuiltInFormats.Catalog.Format("int5")))),
    ];

    private static Mistake Option(string title, QuantizeConfig config) => new(Section, title, () =>
    {
        using var model = new OpenBlock();
        return Answer.Of(Assert.Throws<QuantizationException>(() => model.Quantize(config)));
    });

    private static Mistake Text(string title, string text) => new(Section, title, () => Answer.Of(
        Assert.Throws<QuantizationException>(() => ConfigText.Parse(BuiltInFormats.Catalog, text))));
}
