using TorchAO.Formats.Int8;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Lifecycle;

/// <summary>What a layer that was quantized in place answers where TorchSharp cannot be made to do what is asked.</summary>
public sealed class InPlaceLimitTests
{
    [Theory]
    [InlineData(63, ScalarType.Float32, "the input has shape [2, 63], expected 64 in its last dimension")]
    [InlineData(64, ScalarType.Int64, "the input is Int64, expected a floating-point type")]
    public void A_wrong_input_is_an_error_of_our_type_from_call_and_of_our_text_from_forward(long width, ScalarType type, string expected)
    {
        using var model = new SealedBlock();
        model.Quantize(new Int8WeightOnlyConfig());
        using Tensor x = ones(2, width, dtype: type);

        string called = Assert.Throws<QuantizationException>(() => model.Up.call(x)).Message;
        string forwarded = Assert.ThrowsAny<Exception>(() => model.Up.forward(x)).Message;

        Assert.Contains(expected, called, StringComparison.Ordinal);
        Assert.Contains($"{nameof(QuantizationException)}: {called}", forwarded, StringComparison.Ordinal);
    }

    [Fact]
    public void A_layer_that_came_back_checks_its_inputs_no_more()
    {
        using var model = new SealedBlock();
        model.Quantize(new Int8WeightOnlyConfig());
        model.Dequantize();
        using Tensor x = ones(2, 63);

        Assert.IsNotType<QuantizationException>(Assert.ThrowsAny<Exception>(() => model.Up.call(x)));
    }

    [Fact]
    public void What_libtorch_reads_of_the_placeholder_is_no_number()
    {
        using var model = new SealedBlock();
        model.Quantize(new Int8WeightOnlyConfig());
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = model.Up.weight!;

        Assert.All(
            new[] { weight.mean(), weight.std(), weight.max(), weight.dequantize().sum(), weight.to(ScalarType.Float32).mean(), weight[0, 0] },
            value => Assert.True(float.IsNaN(value.ToSingle())));
    }

    [Fact]
    public void TorchSharps_save_refuses_and_SaveQuantized_does_it()
    {
        using var model = new SealedBlock();
        using var fresh = new SealedBlock();
        using var folder = new TemporaryFolder();
        using DisposeScope scope = NewDisposeScope();
        model.Quantize(new Int8WeightOnlyConfig());

        Assert.ThrowsAny<Exception>(() => model.save(folder.File("model.dat")));
        model.SaveQuantized(folder.File("model.safetensors"));
        fresh.LoadQuantized(folder.File("model.safetensors"));

        Tensor x = randn(3, 64);
        Assert.True(fresh.forward(x).equal(model.forward(x)).all().item<bool>());
    }
}
