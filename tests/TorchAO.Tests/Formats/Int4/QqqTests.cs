using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Int4;
using TorchAO.Lifecycle;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.Int4;

/// <summary>The QQQ option of int4 weights with int8 activations: what the recorded vectors do not say.</summary>
public sealed class QqqTests
{
    private static readonly Int8DynamicActivationInt4WeightConfig Grouped = new()
    {
        GroupSize = 128,
        ActMappingType = MappingType.Symmetric,
        UseQqq = true,
    };

    private static readonly Int8DynamicActivationInt4WeightConfig PerRow = Grouped with { GroupSize = null };

    public static TheoryData<ScalarType> WeightTypes => [.. ContractCases.WeightTypes];

    [Fact]
    public void A_row_with_one_scale_has_a_seventh_of_its_largest_magnitude_as_step()
    {
        using DisposeScope scope = NewDisposeScope();
        using Int4Tensor weight = Quantize(PerRow, tensor(new float[] { -14, -5, 0, 13 }).view(1, 4));

        Assert.Equal(2f, weight.Scale.item<float>());
        Assert.Null(weight.ChannelScale);
        Assert.Equal(new byte[] { 1, 6, 8, 14 }, weight.UnpackCodes().data<byte>().ToArray());
        Assert.Equal(new float[] { -14, -4, 0, 12 }, weight.Dequantize().data<float>().ToArray());
    }

    [Theory]
    [MemberData(nameof(WeightTypes))]
    public void A_group_has_its_scale_in_steps_of_its_row(ScalarType dtype)
    {
        using DisposeScope scope = NewDisposeScope();
        using Int4Tensor weight = Quantize(Grouped, ContractCases.Weight(6, 384, dtype));

        Assert.Equal((ScalarType.Float16, ScalarType.Float32), (weight.GroupScale.dtype, weight.ChannelScale!.dtype));
        Tensor codes = weight.UnpackCodes().to(ScalarType.Float32).reshape(6, 3, 128) - 8;
        Tensor bytes = codes * weight.GroupScale.unsqueeze(2).to(ScalarType.Float32);
        Assert.InRange(bytes.abs().max().item<float>(), 126f, 128f);
        Tensor expected = (bytes * weight.ChannelScale.unsqueeze(2)).reshape(6, 384);
        double tolerance = dtype == ScalarType.Float32 ? 1e-6 : dtype == ScalarType.Float16 ? 2e-3 : 8e-3;
        Assert.True(weight.Dequantize().to(ScalarType.Float32).allclose(expected, rtol: tolerance, atol: 1e-7));
    }

    [Theory]
    [MemberData(nameof(WeightTypes))]
    public void Groups_and_rows_of_zeros_stay_zero_with_finite_scales(ScalarType dtype)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor values = ContractCases.Weight(4, 256, dtype);
        values[1] = tensor(0f);
        values.narrow(0, 2, 1).narrow(1, 128, 128).zero_();
        foreach (Int8DynamicActivationInt4WeightConfig config in new[] { Grouped, PerRow })
        {
            using Int4Tensor weight = Quantize(config, values);

            Assert.All(weight.Components.Skip(1), part => Assert.True(part.Value.isfinite().all().item<bool>(), part.Name));
            Tensor dequantized = weight.Dequantize();
            Assert.True(dequantized[1].eq(0).all().item<bool>());
            Assert.True(dequantized[2].narrow(0, 128, 128).eq(0).all().item<bool>());
            Assert.True(SignalToNoise.Decibels(values.to(ScalarType.Float32), dequantized.to(ScalarType.Float32)) > 15);
        }
    }

    [Fact]
    public void Small_weights_that_are_not_float16_lose_nothing_in_the_product_of_scales()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor large = ContractCases.Weight(8, 256);
        using Int4Tensor usual = Quantize(Grouped, large);
        using Int4Tensor small = Quantize(Grouped, large * (1f / (1 << 20)));

        Assert.True(small.Dequantize().mul(1 << 20).allclose(usual.Dequantize(), rtol: 1e-5, atol: 0));
    }

    [Theory]
    [MemberData(nameof(WeightTypes))]
    public void Algorithms_find_stored_values_where_they_lie(ScalarType dtype)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = ContractCases.Weight(5, 256, dtype);
        foreach (long group in new long[] { 128, 256 })
        {
            var grid = new QqqGrid(group);
            using QParams qparams = grid.ChooseQParams(weight);
            Tensor codes = grid.Quantize(weight, qparams);
            Tensor values = grid.Dequantize(codes, qparams, dtype);

            ContractCases.AssertEqual(codes, grid.Quantize(values, qparams));
            using QuantizedTensor packed = grid.Pack(codes, qparams, dtype);
            ContractCases.AssertEqual(values, packed.Dequantize());
        }
    }

    [Fact]
    public void Options_that_qqq_has_no_room_for_are_refused_before_a_layer_is_touched()
    {
        Says(Grouped with { ActMappingType = MappingType.Asymmetric }, "ActMappingType Asymmetric, expected MappingType.Symmetric for both");
        Says(Grouped with { MappingType = MappingType.SymmetricNoClippingError }, "MappingType SymmetricNoClippingError");
        Says(Grouped with { GroupSize = 32 }, "UseQqq with GroupSize 32, expected 128, or null (or -1)");
        Assert.Contains(
            "in_features 192 is not a multiple of the group size 128",
            BuiltInFormats.Catalog.Handler(Grouped).ReasonToSkip(new WeightFacts(4, 192, ScalarType.Float32, DeviceType.CPU), Grouped),
            StringComparison.Ordinal);
    }

    [Fact]
    public void The_report_has_the_option_and_the_rounding_of_activations()
    {
        using var model = nn.Sequential(nn.Linear(256, 64));

        LayerReport layer = Assert.Single(model.Explain(Grouped).Layers);

        Assert.Equal(Grouped, layer.Config);
        Assert.Contains("UseQqq = True", $"{layer.Config}", StringComparison.Ordinal);
        Assert.Contains("on activations in int8", layer.Kernel, StringComparison.Ordinal);
        Assert.Equal(64 * (128 + 4 + 4), layer.BytesAfter);
        Assert.Equal(Grouped, torchao.int8_dynamic_activation_int4_weight(
            group_size: 128, act_mapping_type: MappingType.Symmetric, use_qqq: true));
    }

    [Fact]
    public void A_model_comes_back_from_its_file_and_the_option_from_its_text()
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = nn.Sequential(nn.Linear(256, 64));
        using var loaded = nn.Sequential(nn.Linear(256, 64));
        Tensor x = ContractCases.Weight(3, 256);
        model.Quantize(Grouped);

        model.SaveQuantized(folder.File("qqq.safetensors"));
        loaded.LoadQuantized(folder.File("qqq.safetensors"));

        ContractCases.AssertEqual(model.call(x), loaded.call(x));
        Assert.Equal(Grouped, ConfigText.Parse(
            BuiltInFormats.Catalog, "int8_dynamic_activation_int4_weight(group_size=128, act_mapping_type=symmetric, use_qqq=true)"));
    }

    private static Int4Tensor Quantize(QuantizeConfig config, Tensor weight) =>
        (Int4Tensor)BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);

    private static void Says(Int8DynamicActivationInt4WeightConfig config, string words)
    {
        using var model = nn.Sequential(nn.Linear(256, 64));
        string message = Assert.Throws<QuantizationException>(() => model.Explain(config)).Message;
        Assert.Contains(words, message, StringComparison.Ordinal);
    }
}
