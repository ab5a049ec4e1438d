using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama;

/// <summary>A quantized embedding table, which is the head too where the model is tied.</summary>
public sealed class QuantizedTableTests
{
    private static readonly QuantizeOptions Tables = new() { Modules = ModuleKinds.Embedding };

    [Theory]
    [InlineData("llama2")]
    [InlineData("tied")]
    public void Logits_are_those_of_the_dequantized_table(string family)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Family(family));
        using Tensor ids = SmallLlamas.Ids(9);
        Tensor exact = model.forward(ids);
        long bytes = model.CountDecodeBytes();
        QuantizeReport report = model.Quantize(new Int8WeightOnlyConfig(), Tables);
        Tensor quantized = model.forward(ids);

        Assert.Equal(LlamaForCausalLM.EmbeddingName, Assert.Single(report.Layers).Name);
        Assert.Equal(family == "tied", model.CountDecodeBytes() < bytes);
        Assert.Equal((ScalarType.Float32, DeviceType.CPU), (model.DType, model.Device.type));
        model.Dequantize();
        Assert.True(allclose(model.forward(ids), quantized, 1e-4, 1e-4));
        Assert.False(allclose(exact, quantized, 1e-6, 1e-6));
        Assert.InRange((exact - quantized).norm().item<float>() / exact.norm().item<float>(), 0, 0.03);
    }

    [Theory]
    [InlineData("llama2")]
    [InlineData("tied")]
    public void A_folder_keeps_the_table_and_a_stream_makes_the_same(string family)
    {
        using var folder = new TemporaryFolder();
        using IDisposable noGradient = no_grad();
        using Tensor ids = SmallLlamas.Ids(9);
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Family(family));
        model.Quantize(new Int8WeightOnlyConfig(), Tables with { Modules = ModuleKinds.All, Filter = (name, _) => name == LlamaForCausalLM.EmbeddingName });
        using Tensor expected = model.forward(ids);
        LlamaSaver.Save(model, folder.File("small"));

        using LlamaForCausalLM loaded = LlamaLoader.Load(folder.File("small"));
        using Tensor got = loaded.forward(ids);

        Assert.True(got.equal(expected).all().item<bool>());
    }
}
