using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.UIntX;
using TorchAO.Lifecycle;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.UIntX;

/// <summary>Configs that no weight could follow, and the text of those that can.</summary>
public sealed class UIntXConfigTests
{
    public static TheoryData<string, string> Refused => new()
    {
        { "uintx_weight_only(dtype=uint8)", "DType is uint8, expected uint1 to uint7" },
        { "uintx_weight_only(dtype=int4)", "DType is int4, expected uint1 to uint7" },
        { "uintx_weight_only(dtype=int8, use_hqq=true)", "DType is int8 with UseHqq, expected uint1 to uint8" },
        { "uintx_weight_only(pack_dim=2)", "PackDim is 2, expected -1, 0 or 1" },
        { "uintx_weight_only(group_size=0)", "GroupSize is 0, expected a positive count" },
        { "intx_weight_only(weight_dtype=uint4)", "WeightDType is uint4, expected int1 to int8" },
        { "intx_weight_only(granularity=per_tensor)", "expected PerGroup of a positive size" },
        { "intx_weight_only(granularity=per_axis(1))", "expected PerGroup of a positive size" },
        { "intx_weight_only(granularity=per_group(-1))", "expected PerGroup of a positive size" },
        { "gemlite_uintx_weight_only(bit_width=3)", "BitWidth is 3, expected 4 or 8" },
        { "gemlite_uintx_weight_only(bit_width=8)", "GroupSize is 64 with BitWidth 8, expected null" },
        { "gemlite_uintx_weight_only(packing_bitwidth=64)", "PackingBitwidth is 64, expected 8, 16 or 32" },
        { "gemlite_uintx_weight_only(group_size=48)", "GroupSize is 48, expected 32, 64" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void A_config_that_contradicts_itself_is_refused_before_any_weight(string text, string expected)
    {
        QuantizeConfig config = ConfigText.Parse(BuiltInFormats.Catalog, text);
        var facts = new WeightFacts(64, 128, ScalarType.Float32, DeviceType.CPU);

        var error = Assert.Throws<QuantizationException>(
            () => BuiltInFormats.Catalog.Handler(config).ReasonToSkip(facts, config));

        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("uintx_weight_only(dtype=float32)", "dtype")]
    [InlineData("uintx_weight_only(dtype=3)", "dtype")]
    [InlineData("intx_weight_only(granularity=per_group)", "granularity")]
    [InlineData("intx_weight_only(granularity=per_axis(99999999999))", "granularity")]
    public void A_value_that_cannot_be_read_names_its_option(string text, string option) => Assert.Contains(
        $"option '{option}'",
        Assert.Throws<QuantizationException>(() => ConfigText.Parse(BuiltInFormats.Catalog, text)).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData("per_row")]
    [InlineData("per_token")]
    [InlineData("per_tensor")]
    [InlineData("per_group(32)")]
    [InlineData("per_axis(-2)")]
    public void A_granularity_survives_its_text(string granularity)
    {
        QuantizeConfig config = ConfigText.Parse(BuiltInFormats.Catalog, $"intx_weight_only(granularity={granularity})");

        Assert.Equal(granularity, (string)ConfigText.ToJson(BuiltInFormats.Catalog, config)["granularity"]!);
        Assert.Equal(config, ConfigText.FromJson(BuiltInFormats.Catalog, ConfigText.ToJson(BuiltInFormats.Catalog, config)));
    }

    [Fact]
    public void The_first_axis_is_the_row()
    {
        using QuantizedTensor byAxis = ContractCases.Quantize(new IntxWeightOnlyConfig { Granularity = new PerAxis(0) }, 4, 96);
        using QuantizedTensor byRow = ContractCases.Quantize(new IntxWeightOnlyConfig { Granularity = new PerRow() }, 4, 96);

        ContractCases.AssertSame(byRow, byAxis);
        Assert.Equal(96, byAxis.GroupSize);
    }

    [Fact]
    public void Options_of_a_packing_change_nothing()
    {
        using QuantizedTensor usual = ContractCases.Quantize(new GemliteUIntXWeightOnlyConfig(), 4, 128);
        using QuantizedTensor other = ContractCases.Quantize(
            new GemliteUIntXWeightOnlyConfig { PackingBitwidth = 8, Contiguous = true }, 4, 128);
        using QuantizedTensor rows = ContractCases.Quantize(new UIntXWeightOnlyConfig(), 4, 128);
        using QuantizedTensor columns = ContractCases.Quantize(new UIntXWeightOnlyConfig { PackDim = 0 }, 4, 128);

        ContractCases.AssertSame(usual, other);
        ContractCases.AssertSame(rows, columns);
    }

    [Fact]
    public void Gemlites_four_bits_are_half_quadratic_and_its_eight_symmetric()
    {
        using QuantizedTensor four = ContractCases.Quantize(new GemliteUIntXWeightOnlyConfig(), 4, 128, ScalarType.Float16);
        using QuantizedTensor same = ContractCases.Quantize(
            new UIntXWeightOnlyConfig { UseHqq = true }, 4, 128, ScalarType.Float16);
        using QuantizedTensor plain = ContractCases.Quantize(
            new GemliteUIntXWeightOnlyConfig { UseHqq = false }, 4, 128, ScalarType.Float16);
        using var eight = (UIntXTensor)ContractCases.Quantize(
            new GemliteUIntXWeightOnlyConfig { BitWidth = 8, GroupSize = null }, 4, 128, ScalarType.Float16);

        ContractCases.AssertSame(same, four);
        Assert.False(plain.Components[2].Value.bytes.SequenceEqual(four.Components[2].Value.bytes));
        Assert.Null(eight.ZeroPoint);
        Assert.Equal(128, eight.GroupSize);
    }
}
