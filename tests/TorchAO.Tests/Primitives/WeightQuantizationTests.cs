using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

/// <summary>HQQ, QQQ, groups, tokens and integer products: what the recorded vectors do not say.</summary>
public sealed class WeightQuantizationTests
{
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Optimized_zero_points_err_less_than_plain_ones(int bits)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(11);
        // Heavy tails: where the norm below one of the solver pays.
        Tensor weight = randn(32, 128).pow(3);

        Assert.True(Error(optimize: true) < Error(optimize: false), $"bits {bits}, seed 11");

        double Error(bool optimize)
        {
            HqqOptions plain = new() { Bits = bits, RawOutput = true, ComputeType = ScalarType.Float32 };
            HqqOptions options = plain with { Optimize = optimize };
            (Tensor codes, QParams qparams) = HqqQuantization.Quantize(weight, options);
            Tensor values = (codes.reshape(32, 2, 64) - qparams.ZeroPoint!.unsqueeze(2)) * qparams.Scale.unsqueeze(2);
            return (values.reshape(32, 128) - weight).abs().pow(0.7).mean().item<float>();
        }
    }

    [Fact]
    public void Both_conventions_of_hqq_zero_points_mean_the_same_values()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(12);
        Tensor weight = randn(8, 64);
        HqqOptions options = new() { GroupSize = 32, ComputeType = ScalarType.Float32 };
        AffineScheme scheme = new(QuantizedType.UInt4) { Domain = ZeroPointDomain.Float };

        (Tensor codes, QParams middle) = HqqQuantization.Quantize(weight, options);
        (_, QParams raw) = HqqQuantization.Quantize(weight, options with { RawOutput = true });
        Tensor values = AffineQuantization.Dequantize(codes, [1, 32], middle, scheme);
        Tensor plain = (codes.reshape(8, 2, 32) - raw.ZeroPoint!.unsqueeze(2)) * raw.Scale.unsqueeze(2);

        Assert.True(values.allclose(plain.reshape(8, 64), rtol: 0, atol: 1e-5));
    }

    [Fact]
    public void Hqq_refuses_groups_that_do_not_fit()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = ones(6, 16);

        HqqOptions[] wrong =
        [
            new() { GroupSize = 64 },
            new() { GroupSize = 32, RawOutput = true },
            new() { GroupSize = 16, Bits = 9 },
            new() { GroupSize = 16, Axis = 2 },
        ];

        Assert.All(wrong, options =>
            Assert.Throws<QuantizationException>(() => HqqQuantization.Quantize(weight, options)));
    }

    [Fact]
    public void Qqq_refuses_what_is_no_matrix_and_groups_that_do_not_divide()
    {
        using DisposeScope scope = NewDisposeScope();

        Assert.Throws<QuantizationException>(() => QqqQuantization.Quantize(ones(4), -1));
        Assert.Throws<QuantizationException>(() => QqqQuantization.Quantize(ones(4, 100), 64));
    }

    [Fact]
    public void Tinygemm_parameters_pack_and_unpack()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(13);
        (_, QParams qparams) = GroupwiseQuantization.Quantize(randn(6, 64), 32, GroupwiseQuantization.TinyGemm());

        Tensor packed = GroupwiseQuantization.PackTinyGemm(qparams.Scale, qparams.ZeroPoint!);
        QParams unpacked = GroupwiseQuantization.UnpackTinyGemm(packed);

        Assert.Equal([2L, 6, 2], packed.shape);
        Assert.True(unpacked.Scale.equal(qparams.Scale).all().item<bool>());
        Assert.True(unpacked.ZeroPoint!.equal(qparams.ZeroPoint!).all().item<bool>());
    }

    [Fact]
    public void A_group_of_the_whole_row_keeps_a_column_of_scales()
    {
        using DisposeScope scope = NewDisposeScope();

        (_, QParams qparams) = GroupwiseQuantization.Quantize(randn(6, 64), 64, GroupwiseQuantization.Symmetric());

        Assert.Equal([6L, 1], qparams.Scale.shape);
    }

    [Fact]
    public void Symmetric_groups_honour_the_bits_that_were_asked()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(14);

        (Tensor codes, _) = GroupwiseQuantization.Quantize(randn(6, 64), 32, GroupwiseQuantization.Symmetric(bits: 8));

        Assert.True(codes.abs().max().item<sbyte>() > 100);
    }

    [Fact]
    public void An_integer_product_is_exact_where_float32_is_not()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor a = full([1, 4097], -128, ScalarType.Int8);
        Tensor b = full([4097, 1], -128, ScalarType.Int8);
        a[0, 0] = 127;
        b[0, 0] = 127;

        Assert.Equal((4096 * 16384) + 16129, IntegerProduct.Multiply(a, b).item<int>());
        Assert.Throws<QuantizationException>(() => IntegerProduct.Multiply(a, a));
        Assert.Throws<QuantizationException>(() => IntegerProduct.MultiplyScaled(a, b, ones(2, 1)));
    }

    [Fact]
    public void Token_products_take_any_leading_shape_and_a_bias()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(15);
        Tensor x = randn(2, 3, 32);
        Tensor weight = randint(-127, 128, [5, 32]).to_type(ScalarType.Int8);
        Tensor scale = ones(5) / 127f;
        Tensor bias = randn(5);

        Tensor y = TokenQuantization.Linear(x, weight, scale, bias);

        Tensor exact = nn.functional.linear(x, weight.to_type(ScalarType.Float32) / 127f, bias);
        Assert.Equal([2L, 3, 5], y.shape);
        Assert.True(SignalToNoise.Decibels(exact, y) > 35);
    }

    [Fact]
    public void Decibels_halve_the_error_by_six_and_end_in_infinity()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = ones(4);

        Assert.Equal(20, SignalToNoise.Decibels(x, x * 0.9f), 4);
        Assert.Equal(6.0206, SignalToNoise.Decibels(x, x * 0.95f) - 20, 3);
        Assert.Equal(double.PositiveInfinity, SignalToNoise.Decibels(x, x.clone()));
        Assert.Throws<QuantizationException>(() => SignalToNoise.Decibels(x, ones(3)));
    }

    [Fact]
    public void Float8_clamps_instead_of_overflowing_and_refuses_integers_and_nothing()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = tensor(new[] { 1000f, -1000f, 1f });

        Tensor codes = Float8Quantization.Quantize(x, ones(1), QuantizedType.Float8E4M3);

        Assert.Equal([448f, -448f, 1f], Float8Quantization.Dequantize(codes, ones(1)).data<float>().ToArray());
        Assert.Throws<QuantizationException>(() => Float8Quantization.ChooseScale(x, QuantizedType.Int8));
        Assert.Throws<QuantizationException>(() => Float8Quantization.ChooseScale(ones(0), QuantizedType.Float8E4M3));
    }
}
