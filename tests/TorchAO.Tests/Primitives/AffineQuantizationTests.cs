using CsCheck;
using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

public sealed class AffineQuantizationTests
{
    private static readonly AffineScheme Int8 = new(QuantizedType.Int8);

    [Fact]
    public void Values_on_the_grid_come_back_unchanged_whatever_blocks_bits_and_mapping() =>
        Gen.Select(Gen.Int[1, 4], Gen.Int[1, 4], Gen.Int[2, 8], Gen.Bool, Gen.Int[0, 9999])
        .Sample((rows, groups, bits, symmetric, seed) =>
        {
            using DisposeScope scope = NewDisposeScope();
            random.manual_seed(seed);
            AffineScheme scheme = Signed(
                bits, symmetric ? MappingType.SymmetricNoClippingError : MappingType.Asymmetric);
            Tensor x = randn(rows, groups * 8);
            QParams qparams = AffineQuantization.ChooseQParams(x, [1, 8], scheme);

            Tensor once = AffineQuantization.Quantize(x, [1, 8], qparams, scheme);
            Tensor values = AffineQuantization.Dequantize(once, [1, 8], qparams, scheme);
            Tensor twice = AffineQuantization.Quantize(values, [1, 8], qparams, scheme);

            Assert.True(
                once.equal(twice).all().item<bool>(), $"rows {rows}, groups {groups}, bits {bits}, seed {seed}");
        }, iter: 60);

    [Fact]
    public void A_value_moves_by_at_most_half_a_step_where_nothing_clips() =>
        Gen.Select(Gen.Int[2, 8], Gen.Int[0, 9999]).Sample((bits, seed) =>
        {
            using DisposeScope scope = NewDisposeScope();
            random.manual_seed(seed);
            AffineScheme scheme = Signed(bits, MappingType.SymmetricNoClippingError);
            Tensor x = randn(4, 32);
            QParams qparams = AffineQuantization.ChooseQParams(x, [1, 32], scheme);

            Tensor codes = AffineQuantization.Quantize(x, [1, 32], qparams, scheme);
            Tensor moved = (AffineQuantization.Dequantize(codes, [1, 32], qparams, scheme) - x).abs();

            double steps = (moved / qparams.Scale.unsqueeze(1)).max().item<float>();
            Assert.True(steps <= Tolerances.HalfStep, $"{steps} steps, bits {bits}, seed {seed}");
        }, iter: 60);

    [Fact]
    public void Float64_scales_compute_in_float64_and_codes_keep_their_storage()
    {
        using DisposeScope scope = NewDisposeScope();
        AffineScheme scheme = Int8 with { ScaleType = ScalarType.Float64, ZeroPointType = ScalarType.Int64 };
        Tensor x = tensor(new[] { -127.5f, 64.2f, 127.5f, 0f }).reshape(1, 4);

        QParams qparams = AffineQuantization.ChooseQParams(x, [1, 4], scheme);
        Tensor codes = AffineQuantization.Quantize(x, [1, 4], qparams, scheme);

        Assert.Equal(ScalarType.Float64, qparams.Scale.dtype);
        Assert.Equal(ScalarType.Int64, qparams.ZeroPoint!.dtype);
        Assert.Equal([(sbyte)-128, (sbyte)64, (sbyte)127, (sbyte)0], codes.data<sbyte>().ToArray());
    }

    [Fact]
    public void A_symmetric_range_clips_its_maximum_and_the_other_mapping_does_not()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = tensor(new[] { -1f, 1f }).reshape(1, 2);
        AffineScheme noClipping = Int8 with { Mapping = MappingType.SymmetricNoClippingError };

        Assert.Equal(1 / 127.5f, AffineQuantization.ChooseQParams(x, [1, 2], Int8).Scale.item<float>());
        Assert.Equal(1 / 127f, AffineQuantization.ChooseQParams(x, [1, 2], noClipping).Scale.item<float>());
    }

    [Fact]
    public void Zeros_get_the_smallest_scale_and_stay_zeros()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = zeros(2, 8);
        AffineScheme scheme = Int8 with { Epsilon = 1e-5, Mapping = MappingType.Asymmetric };

        QParams qparams = AffineQuantization.ChooseQParams(x, [1, 8], scheme);
        Tensor codes = AffineQuantization.Quantize(x, [1, 8], qparams, scheme);

        Assert.Equal(1e-5f, qparams.Scale[0].item<float>());
        Assert.Equal(0, AffineQuantization.Dequantize(codes, [1, 8], qparams, scheme).abs().max().item<float>());
    }

    [Fact]
    public void A_tensor_without_rows_has_no_scales_and_no_codes()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = zeros(0, 8);

        QParams qparams = AffineQuantization.ChooseQParams(x, [1, 4], Int8);

        Assert.Equal([0L, 2L], qparams.Scale.shape);
        Assert.Equal([0L, 8L], AffineQuantization.Quantize(x, [1, 4], qparams, Int8).shape);
    }

    [Fact]
    public void A_block_for_the_whole_of_an_empty_tensor_is_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = zeros(0, 8);

        QuantizationException error = Assert.Throws<QuantizationException>(
            () => AffineQuantization.ChooseQParams(x, new PerTensor().BlockSize(x.shape), Int8));

        Assert.Contains("without elements", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Not_a_number_makes_the_scale_of_its_block_not_a_number_and_no_other()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = ones(2, 4);
        x[0, 1] = float.NaN;

        float[] scale = AffineQuantization.ChooseQParams(x, [1, 4], Int8).Scale.data<float>().ToArray();

        Assert.True(float.IsNaN(scale[0]));
        Assert.Equal(1 / 127.5f, scale[1]);
    }

    [Fact]
    public void Blocks_of_one_element_keep_a_scale_each()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(3, 5);

        QParams qparams = AffineQuantization.ChooseQParams(x, [1, 1], Int8);

        Assert.Equal([3L, 5L], qparams.Scale.shape);
    }

    [Fact]
    public void A_view_that_is_not_contiguous_quantizes_like_its_copy()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(3);
        Tensor x = randn(16, 8).t();
        QParams qparams = AffineQuantization.ChooseQParams(x, [1, 4], Int8);

        Tensor codes = AffineQuantization.Quantize(x, [1, 4], qparams, Int8);
        Tensor copied = AffineQuantization.Quantize(x.contiguous(), [1, 4], qparams, Int8);

        Assert.True(codes.equal(copied).all().item<bool>());
    }

    [Fact]
    public void A_block_that_does_not_divide_says_what_where_got_expected_and_what_to_do()
    {
        using DisposeScope scope = NewDisposeScope();

        QuantizationException error = Assert.Throws<QuantizationException>(
            () => AffineQuantization.ChooseQParams(randn(4, 100), [1, 64], Int8));

        Assert.Contains("[1, 64]", error.Message, StringComparison.Ordinal);
        Assert.Contains("dimension 1: got 64, expected a divisor of 100", error.Message, StringComparison.Ordinal);
        Assert.Contains("Choose another group size", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Scales_of_other_blocks_are_refused_with_both_counts()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(4, 8);
        QParams qparams = AffineQuantization.ChooseQParams(x, [1, 8], Int8);

        QuantizationException error = Assert.Throws<QuantizationException>(
            () => AffineQuantization.Quantize(x, [1, 4], qparams, Int8));

        Assert.Contains("got 4 scales: expected 8", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_stays_alive_but_what_is_returned()
    {
        using Tensor x = randn(4, 8);
        long before = LiveTensors.Count();
        using (QParams qparams = AffineQuantization.ChooseQParams(x, [1, 4], Int8))
        using (Tensor codes = AffineQuantization.Quantize(x, [1, 4], qparams, Int8))
        using (Tensor values = AffineQuantization.Dequantize(codes, [1, 4], qparams, Int8))
        using (Tensor fake = AffineQuantization.FakeQuantize(x, [1, 4], qparams, Int8))
        {
            Assert.Equal(before + 5, LiveTensors.Count());
        }

        Assert.Equal(before, LiveTensors.Count());
    }

    private static AffineScheme Signed(int bits, MappingType mapping) =>
        new(QuantizedType.Signed(bits)) { Mapping = mapping };
}
