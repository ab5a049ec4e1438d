using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Int8;
using TorchAO.Tests.Contracts;
using TorchAO.Tests.Contracts.Ternary;
using Xunit;

namespace TorchAO.Tests.Formats;

public sealed class FormatCatalogTests
{
    [Fact]
    public void The_built_in_formats_stand_in_listing_order()
    {
        Assert.Equal(["int8", "int4", "float8"], BuiltInFormats.Catalog.Formats.Select(format => format.Name).Take(3));
        Assert.Equal("int8_weight_only", BuiltInFormats.Catalog.Handlers.First().ConfigName);
    }

    [Fact]
    public void A_handler_is_found_by_config_and_by_name()
    {
        IQuantizeHandler handler = ContractCases.Catalog.Handler(new Int8WeightOnlyConfig { GroupSize = 64 });

        Assert.Same(handler, ContractCases.Catalog.Handler("int8_weight_only"));
        Assert.Equal(new Int8WeightOnlyConfig(), handler.DefaultConfig);
    }

    [Fact]
    public void What_is_not_in_the_catalogue_is_an_error_that_lists_what_is()
    {
        Says(() => BuiltInFormats.Catalog.Format("int9"), "'int9'", "int8, int4, float8");
        Says(() => BuiltInFormats.Catalog.Handler("int9_weight_only"), "'int9_weight_only'", "int8_weight_only");
        Says(() => BuiltInFormats.Catalog.Handler(new TernaryConfig()), "TernaryConfig", "Int8WeightOnlyConfig");
    }

    [Fact]
    public void Two_formats_of_one_name_are_refused() =>
        Assert.Throws<ArgumentException>(() => new FormatCatalog(new TernaryFormat(), new TernaryFormat()));

    [Fact]
    public void Configs_compare_by_value()
    {
        Assert.Equal(new Int8WeightOnlyConfig { GroupSize = 32 }, new Int8WeightOnlyConfig { GroupSize = 32 });
        Assert.NotEqual<QuantizeConfig>(new Int8WeightOnlyConfig(), new Int8WeightOnlyConfig { GroupSize = 32 });
    }

    private static void Says(Action action, params string[] words)
    {
        var error = Assert.Throws<QuantizationException>(action);
        Assert.All(words, word => Assert.Contains(word, error.Message, StringComparison.Ordinal));
    }
}
