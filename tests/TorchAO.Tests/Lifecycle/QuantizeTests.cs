using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Modules;
using TorchAO.Tests.Contracts;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Lifecycle;

public sealed class QuantizeTests
{
    private static readonly Int8WeightOnlyConfig Int8 = new();

    public static TheoryData<string> EveryConfig => [.. ContractCases.Configs.Keys];

    [Fact]
    public void Every_holder_is_found_and_the_model_still_computes_the_same()
    {
        using var model = new Holders();
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(1);
        Tensor x = randn(3, 64);
        Tensor before = model.forward(x);

        QuantizeReport report = model.Quantize(Int8);

        Assert.Equal(
            ["Property", "array.0", "list.0", "named.gate", "open", "sequence.first", "table.expert", "typed"],
            report.Layers.Select(layer => layer.Name).Order(StringComparer.Ordinal));
        Assert.All(report.Layers, layer => Assert.True(layer.IsQuantized, layer.ToString()));
        Assert.Equal(LayerOutcome.InPlace, report.Layers.Single(layer => layer.Name == "typed").Outcome);
        Assert.Single(report.Layers, layer => layer.Outcome == LayerOutcome.InPlace);
        Assert.True(model.SharesOpen);
        Tensor after = model.forward(x);
        Assert.InRange((after - before).norm().item<float>() / before.norm().item<float>(), 1e-6f, 0.1f);
    }

    [Fact]
    public void Explaining_says_what_quantizing_does_and_changes_nothing()
    {
        using var model = new Holders();

        QuantizeReport explained = model.Explain(new Int4WeightOnlyConfig { GroupSize = 32 });

        Assert.DoesNotContain(model.modules(), module => module is QuantizedLinear);
        Assert.Equal(explained.Layers, model.Quantize(new Int4WeightOnlyConfig { GroupSize = 32 }).Layers);
    }

    [Fact]
    public void Quantizing_again_changes_nothing_and_another_config_is_an_error()
    {
        using var model = new Holders();
        model.Quantize(Int8);

        QuantizeReport second = model.Quantize(Int8);

        Assert.All(second.Layers, layer => Assert.Equal(LayerOutcome.AlreadyQuantized, layer.Outcome));
        QuantizationException e = Assert.Throws<QuantizationException>(() => model.Quantize(new Int4WeightOnlyConfig { GroupSize = 32 }));
        Assert.Contains("Dequantize()", e.Message, StringComparison.Ordinal);
        model.Quantize(new Int4WeightOnlyConfig { GroupSize = 32 }, new() { KeepQuantized = true });
    }

    [Theory]
    [MemberData(nameof(EveryConfig))]
    public void Quantizing_again_changes_nothing_for_every_config(string name)
    {
        using var model = new OpenBlock(128);
        ModuleRules rules = ModuleRules.All(ContractCases.Configs[name]);
        ModelQuantizer.Quantize(model, rules, ContractCases.Catalog, new());

        QuantizeReport second = ModelQuantizer.Quantize(model, rules, ContractCases.Catalog, new());

        Assert.Equal(LayerOutcome.AlreadyQuantized, second.Layers.Single().Outcome);
    }

    [Fact]
    public void Dequantizing_brings_float_layers_back_on_both_roads()
    {
        using var model = new Holders();
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(2, 64);
        model.Quantize(Int8);
        Tensor quantized = model.forward(x);

        Assert.Equal(8, model.Dequantize().Count);

        Assert.All(ModuleWalker.Find(model), site => Assert.Null(site.Executor));
        Assert.True(model.forward(x).allclose(quantized, rtol: 1e-3, atol: 1e-4));
        Assert.Equal(8, model.Quantize(Int8).Changed.Count());
    }

    [Fact]
    public void A_root_that_is_a_linear_layer_keeps_its_object()
    {
        using Linear model = nn.Linear(64, 32);
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(2, 5, 64), before = model.forward(x);

        QuantizeReport report = model.Quantize(Int8);

        Assert.Equal(ModuleWalker.RootName, Assert.Single(report.Changed).Name);
        Assert.True(model.forward(x).allclose(before, rtol: 0.05, atol: 0.02));
        Assert.Equal(LayerOutcome.AlreadyQuantized, model.Explain(Int8).Layers[0].Outcome);
    }

    [Fact]
    public void Tied_layers_are_quantized_alike_and_the_embedding_stays()
    {
        using var model = new TiedModel();
        using DisposeScope scope = NewDisposeScope();

        QuantizeReport report = model.Quantize(Int8);

        Assert.Equal(2, report.Changed.Count());
        Assert.Contains("tied to tokens.weight", report.Layers[0].Reason, StringComparison.Ordinal);
        Assert.Equal(0f, model.forward(arange(0, 32, dtype: ScalarType.Int64)).abs().max().item<float>());
    }

    [Fact]
    public void Quantizing_in_inference_mode_leaves_a_gradient_path_on_both_roads()
    {
        foreach (nn.Module<Tensor, Tensor> model in new nn.Module<Tensor, Tensor>[] { new SealedBlock(), new OpenBlock() })
        {
            using DisposeScope scope = NewDisposeScope();
            using (inference_mode(true))
            {
                model.Quantize(Int8);
            }

            Tensor x = randn(2, 64, requires_grad: true);
            model.forward(x).sum().backward();
            Assert.NotEqual(0f, x.grad!.abs().sum().item<float>());
            model.Dispose();
        }
    }

    [Fact]
    public void Rules_decide_in_order_and_a_skip_is_reported()
    {
        using var model = new Holders();
        var rules = new ModuleRules { ["typed"] = ModuleRules.Skip, ["re:(list|named)\\..*"] = new Int4WeightOnlyConfig { GroupSize = 32 }, ["*"] = Int8 };

        QuantizeReport report = model.Quantize(rules);

        Assert.Equal(LayerOutcome.Excluded, report.Layers.Single(layer => layer.Name == "typed").Outcome);
        Assert.Equal("int4", report.Layers.Single(layer => layer.Name == "list.0").Format);
        Assert.Equal("int8", report.Layers.Single(layer => layer.Name == "open").Format);
        Assert.Contains("7 of 8 layers quantized", report.ToString(), StringComparison.Ordinal);
    }
}
