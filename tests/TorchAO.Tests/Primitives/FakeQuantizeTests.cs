using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

public sealed class FakeQuantizeTests
{
    private static readonly AffineScheme Int4 = new(QuantizedType.Int4);
    private static readonly long[] Block = [1, 4];

    [Fact]
    public void Equals_quantizing_and_dequantizing()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(5);
        Tensor x = randn(3, 8).to_type(ScalarType.BFloat16);
        QParams qparams = AffineQuantization.ChooseQParams(x, Block, Int4);

        Tensor fake = AffineQuantization.FakeQuantize(x, Block, qparams, Int4);
        Tensor codes = AffineQuantization.Quantize(x, Block, qparams, Int4);
        Tensor values = AffineQuantization.Dequantize(codes, Block, qparams, Int4, ScalarType.BFloat16);

        Assert.True(fake.equal(values).all().item<bool>());
    }

    [Fact]
    public void Float8_goes_through_the_cast()
    {
        using DisposeScope scope = NewDisposeScope();
        AffineScheme scheme = new(QuantizedType.Float8E4M3) { Domain = ZeroPointDomain.None };
        using QParams one = new(ones(1));

        Tensor fake = AffineQuantization.FakeQuantize(tensor(new[] { 17f, 1000f }), [2], one, scheme);

        Assert.Equal([16f, 448f], fake.data<float>().ToArray());
    }

    [Fact]
    public void The_gradient_passes_straight_through_even_where_values_clip()
    {
        using DisposeScope scope = NewDisposeScope();
        float[] gradient = Gradient(clipGradient: false);

        Assert.Equal([1f, 2f, 3f, 4f], gradient);
    }

    [Fact]
    public void A_clipped_gradient_is_cut_where_values_leave_the_range()
    {
        using DisposeScope scope = NewDisposeScope();
        float[] gradient = Gradient(clipGradient: true);

        Assert.Equal([0f, 2f, 3f, 0f], gradient);
    }

    [Fact]
    public void The_gradient_is_the_slope_over_many_steps()
    {
        // A staircase has slope zero almost everywhere; over a whole number of steps its finite difference is one.
        using DisposeScope scope = NewDisposeScope();
        using QParams half = new(full(1, 0.5f));
        AffineScheme scheme = new(QuantizedType.Int8) { Domain = ZeroPointDomain.None };
        Tensor x = linspace(-10, 10, 41);

        Tensor ahead = AffineQuantization.FakeQuantize(x + 4f, [41], half, scheme);
        Tensor behind = AffineQuantization.FakeQuantize(x - 4f, [41], half, scheme);

        Assert.True(((ahead - behind) / 8f).allclose(ones(41), rtol: 0, atol: 1e-6));
    }

    private static float[] Gradient(bool clipGradient)
    {
        using QParams one = new(ones(1), zeros(1));
        Tensor x = tensor(new[] { -20f, -8f, 0.3f, 9f }, requires_grad: true);
        Tensor y = AffineQuantization.FakeQuantize(x, [4], one, Int4, clipGradient);
        (y * tensor(new[] { 1f, 2f, 3f, 4f })).sum().backward();
        return x.grad!.data<float>().ToArray();
    }
}
