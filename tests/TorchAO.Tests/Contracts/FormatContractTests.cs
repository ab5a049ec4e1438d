using System.Text.RegularExpressions;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Contracts;

/// <summary>What every format promises. A new format is tested here the moment the catalogue lists it.</summary>
public sealed partial class FormatContractTests
{
    public static TheoryData<string> Formats => [.. ContractCases.FormatNames];

    public static TheoryData<string> Configs => [.. ContractCases.Configs.Keys];

    public static TheoryData<string, ScalarType> ConfigsAndTypes => new MatrixTheoryData<string, ScalarType>(
        ContractCases.Configs.Keys, ContractCases.WeightTypes);

    [Theory]
    [MemberData(nameof(Formats))]
    public void A_card_says_who_it_is(string name)
    {
        IFormat format = ContractCases.Catalog.Format(name);

        Assert.Matches(StableName(), format.Name);
        Assert.False(string.IsNullOrWhiteSpace(format.Summary));
        Assert.NotEmpty(format.Handlers);
        Assert.All(format.Handlers, handler => Assert.Equal(name, handler.FormatName));
        Assert.All(format.Handlers, handler => Assert.Matches(StableName(), handler.ConfigName));
        Assert.All(format.Handlers, handler => Assert.Equal(handler.ConfigType, handler.DefaultConfig.GetType()));
        Assert.All(format.Kernels, kernel => Assert.StartsWith(name + ".", kernel, StringComparison.Ordinal));
        Assert.Distinct(format.Kernels);
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Quantizing_a_stored_value_again_changes_nothing(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        IQuantizationGrid grid = ContractCases.Catalog.Format(name).CreateGrid(256);
        Tensor weight = ContractCases.Weight(16, 256);
        using QParams qparams = grid.ChooseQParams(weight);

        Tensor once = grid.Quantize(weight, qparams);
        Tensor twice = grid.Quantize(grid.Dequantize(once, qparams, ScalarType.Float32), qparams);

        Assert.True(once.bytes.SequenceEqual(twice.bytes), $"{name}: a stored value moved when stored again");
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void The_packed_tensor_stands_for_the_values_of_the_grid(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        IQuantizationGrid grid = ContractCases.Catalog.Format(name).CreateGrid(256);
        Tensor weight = ContractCases.Weight(16, 256);
        using QParams qparams = grid.ChooseQParams(weight);
        Tensor codes = grid.Quantize(weight, qparams);

        using QuantizedTensor packed = grid.Pack(codes, qparams, ScalarType.Float32);

        Assert.Equal([16, 256], packed.Shape);
        Assert.Equal([16, 256], codes.shape);
        ContractCases.AssertEqual(grid.Dequantize(codes, qparams, ScalarType.Float32), packed.Dequantize());
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void A_grid_rounds_a_block_of_columns_as_it_rounds_the_whole(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        IQuantizationGrid grid = ContractCases.Catalog.Format(name).CreateGrid(128);
        Tensor weight = ContractCases.Weight(8, 128);
        using QParams qparams = grid.ChooseQParams(weight);

        // Parameters belong to groups; a block of columns lies within one and comes with its parameters.
        long group = 32 * qparams.Scale.size(1) / 128;
        QParams own = qparams with
        {
            Scale = qparams.Scale.narrow(1, group, 1),
            ZeroPoint = qparams.ZeroPoint?.narrow(1, group, 1),
        };

        Tensor whole = grid.Quantize(weight, qparams);
        Tensor part = grid.Quantize(weight.narrow(1, 32, 16).contiguous(), own);

        Assert.True(whole.narrow(1, 32, 16).contiguous().bytes.SequenceEqual(part.bytes));
    }

    [Theory]
    [MemberData(nameof(ConfigsAndTypes))]
    public void Bytes_and_group_size_are_predicted_exactly(string name, ScalarType dtype)
    {
        QuantizeConfig config = ContractCases.Configs[name];
        IQuantizeHandler handler = ContractCases.Catalog.Handler(config);
        foreach ((long n, long k) in new (long, long)[] { (1, 128), (7, 256), (33, 384), (5, 1), (3, 33) })
        {
            var facts = new WeightFacts(n, k, dtype, DeviceType.CPU);
            if (handler.ReasonToSkip(facts, config) is not null)
            {
                Assert.NotEqual(0, k % 128);
                continue;
            }

            using QuantizedTensor tensor = ContractCases.Quantize(config, n, k, dtype);

            Assert.Equal(handler.PredictBytes(facts, config), tensor.Bytes);
            Assert.Equal(handler.GroupSize(facts, config), tensor.GroupSize);
            Assert.Equal(handler.FormatName, tensor.Format);
            Assert.Equal(dtype, tensor.DType);
            Assert.Equal([n, k], tensor.Shape);
        }
    }

    [Theory]
    [MemberData(nameof(ConfigsAndTypes))]
    public void A_stored_tensor_is_read_back_bit_for_bit(string name, ScalarType dtype)
    {
        using QuantizedTensor tensor = ContractCases.Quantize(ContractCases.Configs[name], 5, 256, dtype);

        using QuantizedTensor read = ContractCases.Catalog.Format(tensor.Format).Read(ContractCases.Store(tensor));

        ContractCases.AssertSame(tensor, read);
    }

    [Theory]
    [MemberData(nameof(ConfigsAndTypes))]
    public void Another_type_keeps_codes_and_scales(string name, ScalarType dtype)
    {
        using QuantizedTensor tensor = ContractCases.Quantize(ContractCases.Configs[name], 5, 256, dtype);

        using QuantizedTensor converted = tensor.To(CPU, ScalarType.Float32);
        using QuantizedTensor back = converted.To(CPU, dtype);

        using Tensor values = converted.Dequantize();
        Assert.Equal(ScalarType.Float32, converted.DType);
        Assert.Equal(ScalarType.Float32, values.dtype);
        ContractCases.AssertSame(tensor, back);
    }

    [Theory]
    [MemberData(nameof(ConfigsAndTypes))]
    public void Dequantize_gives_the_type_asked_for(string name, ScalarType dtype)
    {
        using QuantizedTensor tensor = ContractCases.Quantize(ContractCases.Configs[name], 5, 256, dtype);

        using Tensor usual = tensor.Dequantize();
        using Tensor wide = tensor.Dequantize(ScalarType.Float64);

        Assert.Equal(dtype, usual.dtype);
        Assert.Equal(ScalarType.Float64, wide.dtype);
        Assert.Equal([5, 256], wide.shape);
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void Quantizing_leaves_the_weight_alone_and_is_repeatable(string name)
    {
        QuantizeConfig config = ContractCases.Configs[name];
        using Tensor weight = ContractCases.Weight(9, 256);
        byte[] before = weight.bytes.ToArray();
        weight.requires_grad = true;

        using QuantizedTensor first = ContractCases.Catalog.Handler(config).Quantize(weight, config);
        using QuantizedTensor second = ContractCases.Catalog.Handler(config).Quantize(weight, config);

        using Tensor detached = weight.detach();
        Assert.True(detached.bytes.SequenceEqual(before));
        Assert.All(first.Components, component => Assert.False(component.Value.requires_grad));
        ContractCases.AssertSame(first, second);
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_weight_that_is_not_finite_is_an_error_that_says_where(string name)
    {
        QuantizeConfig config = ContractCases.Configs[name];
        foreach (float value in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
        {
            using Tensor weight = ContractCases.Weight(4, 256);
            weight[2, 17] = tensor(value);
            weight[3, 1] = tensor(value);

            var error = Assert.Throws<QuantizationException>(
                () => ContractCases.Catalog.Handler(config).Quantize(weight, config));

            Assert.Contains("[4, 256] has 2 values that are not finite", error.Message, StringComparison.Ordinal);
            Assert.Contains("at [2, 17]", error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_weight_of_another_type_or_rank_or_without_elements_is_refused(string name)
    {
        QuantizeConfig config = ContractCases.Configs[name];
        IQuantizeHandler handler = ContractCases.Catalog.Handler(config);
        using Tensor wide = ones(4, 256, dtype: ScalarType.Float64);
        using Tensor whole = ones(4, 256, dtype: ScalarType.Int8);
        using Tensor flat = ones(256);
        using Tensor empty = ones(0, 256);

        Assert.Contains("F64", Refused(handler, wide, config), StringComparison.Ordinal);
        Assert.Contains("I8", Refused(handler, whole, config), StringComparison.Ordinal);
        Assert.Contains("[256]", Refused(handler, flat, config), StringComparison.Ordinal);
        Assert.Contains("empty", Refused(handler, empty, config), StringComparison.Ordinal);
        Assert.NotNull(handler.ReasonToSkip(WeightFacts.Of(wide), config));
        Assert.NotNull(handler.ReasonToSkip(WeightFacts.Of(empty), config));
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_weight_of_zeros_stays_zero(string name)
    {
        QuantizeConfig config = ContractCases.Configs[name];
        using Tensor weight = zeros(4, 256);
        using QuantizedTensor tensor = ContractCases.Catalog.Handler(config).Quantize(weight, config);

        // int4 keeps its zero point in the weight's type, so that zero may come back as a rounding error of eight steps.
        using Tensor values = tensor.Dequantize();
        using Tensor magnitude = values.abs();
        Assert.InRange(magnitude.max().item<float>(), 0f, 1e-11f);
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_strided_weight_gives_the_same_codes_as_its_copy(string name)
    {
        QuantizeConfig config = ContractCases.Configs[name];
        using Tensor transposed = ContractCases.Weight(256, 12);
        using Tensor weight = transposed.t();
        using Tensor copy = weight.contiguous();

        using QuantizedTensor strided = ContractCases.Catalog.Handler(config).Quantize(weight, config);
        using QuantizedTensor contiguous = ContractCases.Catalog.Handler(config).Quantize(copy, config);

        ContractCases.AssertSame(contiguous, strided);
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_big_weight_in_blocks_of_rows_equals_its_parts(string name)
    {
        QuantizeConfig config = ContractCases.Configs[name];
        long rows = (RowBlocks.Elements / 256 * 2) + 3;
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = ContractCases.Weight(rows, 256);
        Tensor values = ContractCases.Catalog.Handler(config).Quantize(weight, config).Dequantize();

        using QuantizedTensor whole = ContractCases.Catalog.Handler(config).Quantize(weight, config);
        using QuantizedTensor tail = whole.Narrow(0, rows - 100, 100);

        ContractCases.AssertEqual(values.narrow(0, rows - 100, 100), tail.Dequantize());
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void Quantize_use_and_dispose_leave_no_tensor_behind(string name)
    {
        QuantizeConfig config = ContractCases.Configs[name];
        using Tensor weight = ContractCases.Weight(9, 256);
        using Tensor input = ContractCases.Weight(2, 256);
        long before = LiveTensors.Count();

        using (QuantizedTensor tensor = ContractCases.Catalog.Handler(config).Quantize(weight, config))
        using (QuantizedTensor cut = tensor.Narrow(0, 1, 3))
        using (QuantizedTensor moved = cut.To(CPU, ScalarType.BFloat16))
        using (Tensor values = moved.Dequantize())
        {
            IFormat format = ContractCases.Catalog.Format(tensor.Format);
            using LinearExecutor executor = format.CreateExecutor(tensor.To(CPU));
            using Tensor result = executor.Forward(input, null);
        }

        // Finalizers of earlier tests may lower the count meanwhile.
        Assert.InRange(LiveTensors.Count(), 0, before);
    }

    private static string Refused(IQuantizeHandler handler, Tensor weight, QuantizeConfig config) =>
        Assert.Throws<QuantizationException>(() => handler.Quantize(weight, config)).Message;

    [GeneratedRegex("^[a-z][a-z0-9_]*$")]
    private static partial Regex StableName();
}
