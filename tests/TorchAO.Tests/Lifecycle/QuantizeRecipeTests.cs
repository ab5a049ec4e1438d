using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Modules;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Lifecycle;

public sealed class QuantizeRecipeTests
{
    private const string Written =
        """
        {
          // the head stays
          "modules": ["linear", "embedding"],
          "rules": [
            { "match": "head", "config": "skip" },
            { "match": "table", "config": "int8wo", "device": "cpu" },
            { "match": "*", "config": { "config": "int4_weight_only", "group_size": 32, "mapping_type": "symmetric" } },
          ],
        }
        """;

    [Fact]
    public void A_recipe_says_what_the_rules_in_code_say()
    {
        var recipe = QuantizeRecipe.Parse(Written);

        Assert.Equal(ModuleKinds.Linear | ModuleKinds.Embedding, recipe.Modules);
        Assert.Equal(["head", "table", "*"], recipe.Rules.Select(rule => rule.Pattern));
        Assert.Null(recipe.Rules[0].Config);
        Assert.Equal(new Int8WeightOnlyConfig(), recipe.Rules[1].Config);
        Assert.Equal(DeviceType.CPU, recipe.Rules[1].Device!.type);
        Assert.Equal(
            new Int4WeightOnlyConfig { GroupSize = 32, MappingType = TorchAO.Primitives.MappingType.Symmetric }, recipe.Rules[2].Config);
    }

    [Fact]
    public void A_recipe_that_was_written_reads_the_same()
    {
        var recipe = QuantizeRecipe.Parse(Written);
        var again = QuantizeRecipe.Parse(recipe.ToJson());

        Assert.Equal(recipe.Modules, again.Modules);
        Assert.Equal(recipe.Rules.Select(rule => (rule.Pattern, rule.Config)), again.Rules.Select(rule => (rule.Pattern, rule.Config)));
        Assert.Equal(recipe.ToJson(), again.ToJson());
    }

    [Fact]
    public void A_model_is_quantized_by_a_file()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("recipe.json");
        File.WriteAllText(path, Written);
        using Sequential model = nn.Sequential(
            ("table", (nn.Module<Tensor, Tensor>)nn.Embedding(20, 64)), ("up", nn.Linear(64, 32)), ("head", nn.Linear(32, 20)));
        var recipe = QuantizeRecipe.Read(path);

        Assert.Equal(2, model.Explain(recipe).Quantized.Count());
        model.Quantize(recipe);

        Assert.Equal("int8", Assert.IsType<QuantizedEmbedding>(model[0]).Weight.Format);
        Assert.Equal("int4", Assert.IsType<QuantizedLinear>(model[1]).Weight.Format);
        Assert.Equal(typeof(Linear), model[2].GetType());
    }

    [Theory]
    [InlineData("[]", "expected an object")]
    [InlineData("{", "not JSON")]
    [InlineData("{ \"rules\": [], \"rules\": [] }", "not JSON")]
    [InlineData("{ \"rule\": [] }", "unknown member \"rule\"")]
    [InlineData("{ }", "\"rules\" is missing")]
    [InlineData("{ \"rules\": [] }", "at least one rule")]
    [InlineData("{ \"rules\": [\"int8wo\"] }", "rule 1 is \"int8wo\"")]
    [InlineData("{ \"rules\": [{ \"match\": \"*\" }] }", "\"config\" is missing")]
    [InlineData("{ \"rules\": [{ \"match\": \"*\", \"config\": 8 }] }", "\"config\" is 8")]
    [InlineData("{ \"rules\": [{ \"match\": \"*\", \"config\": \"int5wo\" }] }", "rule 1 ('*'): config 'int5wo' is not in the catalogue")]
    [InlineData("{ \"rules\": [{ \"match\": \"*\", \"config\": \"int8wo\", \"devise\": \"cpu\" }] }", "unknown member \"devise\"")]
    [InlineData("{ \"rules\": [{ \"match\": \"*\", \"config\": \"int8wo\", \"device\": \"tpu\" }] }", "\"device\" is \"tpu\"")]
    [InlineData("{ \"rules\": [{ \"match\": \"re:(\", \"config\": \"int8wo\" }] }", "not a regular expression")]
    [InlineData("{ \"rules\": [{ \"match\": \"a\", \"config\": \"int8wo\" }, { \"match\": \"a\", \"config\": \"int8wo\" }] }", "stands twice")]
    [InlineData("{ \"modules\": [\"linaer\"], \"rules\": [{ \"match\": \"*\", \"config\": \"int8wo\" }] }", "expected a list of linear, embedding, convolution")]
    [InlineData("{ \"modules\": [], \"rules\": [{ \"match\": \"*\", \"config\": \"int8wo\" }] }", "\"modules\" is []")]
    public void A_mistake_in_a_recipe_is_named_with_its_place(string json, string said)
    {
        QuantizationException error = Assert.Throws<QuantizationException>(() => QuantizeRecipe.Parse(json, origin: "recipe.json"));

        Assert.StartsWith("recipe.json: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(said, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_mapping_from_names_gives_rules_with_the_default_last()
    {
        ModuleRules rules = torchao.ModuleFqnToConfig(new Dictionary<string, QuantizeConfig?>
        {
            ["_default"] = new Int8WeightOnlyConfig(),
            ["head"] = null,
            ["up"] = new Int4WeightOnlyConfig { GroupSize = 32 },
        });

        Assert.Equal(["head", "up", "*"], rules.Select(rule => rule.Pattern));
        Assert.Null(rules[0].Config);
    }

    [Fact]
    public void The_reference_is_a_kernel_that_can_be_asked_for()
    {
        using Sequential model = nn.Sequential(("up", nn.Linear(64, 32)));
        QuantizeReport report = model.Quantize(
            new Int8WeightOnlyConfig(), new QuantizeOptions { Kernel = QuantizeOptions.ReferenceKernel });
        Assert.StartsWith("reference", Assert.Single(report.Layers).Kernel, StringComparison.Ordinal);

        model.Dequantize();
        QuantizationException error = Assert.Throws<QuantizationException>(() => model.Quantize(
            new Int8WeightOnlyConfig(), new QuantizeOptions { Kernel = "fast" }));
        Assert.Contains("no kernel 'fast'", error.Message, StringComparison.Ordinal);
        Assert.Equal(typeof(Linear), model[0].GetType());
    }
}
