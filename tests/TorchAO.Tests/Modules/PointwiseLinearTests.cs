using TorchAO.Formats.Int8;
using TorchAO.Modules;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Modules;

public sealed class PointwiseLinearTests
{
    [Fact]
    public void Pointwise_convolutions_become_linear_layers_and_the_others_stay()
    {
        using DisposeScope scope = NewDisposeScope();
        using Sequential model = nn.Sequential(
            ("wide", (nn.Module<Tensor, Tensor>)nn.Conv2d(4, 32, 3)),
            ("one", nn.Conv2d(32, 8, 1)),
            ("strided", nn.Conv2d(8, 8, 1, stride: 2)),
            ("bare", nn.Conv2d(8, 8, 1, bias: false)));
        Tensor input = randn(2, 4, 7, 6);
        Tensor exact = model.forward(input);

        Assert.Equal(["one", "bare"], model.SwapPointwiseConvolutions());

        Assert.True(allclose(exact, model.forward(input), 1e-5, 1e-5));
        Assert.Equal(exact.shape[1..], model.forward(input[0]).shape);
        Assert.Equal(["one.linear", "bare.linear"], model.Explain(new Int8WeightOnlyConfig()).Layers.Select(layer => layer.Name));
    }

    [Fact]
    public void A_filter_and_a_place_that_admits_no_other_class_are_respected()
    {
        using Sequential model = nn.Sequential(("one", (nn.Module<Tensor, Tensor>)nn.Conv2d(4, 4, 1)));
        Assert.Empty(torchao.swap_conv2d_1x1_to_linear(model, (_, name) => name != "one"));
        using var typed = new TypedHolder();
        QuantizationException error = Assert.Throws<QuantizationException>(() => typed.SwapPointwiseConvolutions());
        Assert.Contains("admits no PointwiseLinear", error.Message, StringComparison.Ordinal);
        using Conv2d wide = nn.Conv2d(4, 4, 3);
        Assert.Contains("kernel [3, 3]", Assert.Throws<QuantizationException>(() => new PointwiseLinear(wide)).Message, StringComparison.Ordinal);
    }

    private sealed class TypedHolder : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d layer = nn.Conv2d(4, 4, 1);

        public TypedHolder()
            : base(nameof(TypedHolder)) => RegisterComponents();

        public override Tensor forward(Tensor input) => layer.forward(input);
    }
}
