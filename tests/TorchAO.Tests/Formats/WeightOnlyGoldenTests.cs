using System.Text.Json;
using System.Text.RegularExpressions;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Modules;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats;

/// <summary>Weight-only configs against what torchao 0.9 recorded: codes and parameters bit for bit, outputs within bounds.</summary>
public sealed partial class WeightOnlyGoldenTests
{
    public static TheoryData<string> Linears => Where(LinearCase());

    public static TheoryData<string> Models => Where(ModelCase());

    public static TheoryData<string> TensorOperations => Where(TensorOperationCase());

    [Theory]
    [MemberData(nameof(Linears))]
    public void A_linear_layer_has_the_codes_and_outputs_of_torchao(string id)
    {
        using DisposeScope scope = NewDisposeScope();
        GoldenCase golden = GoldenArea.B.Cases[id];
        using QuantizedLinear layer = Layer(golden.Input("weight"), golden.HasInput("bias") ? golden.Input("bias") : null, golden);
        QuantizedTensor weight = layer.Weight;

        golden.Check("w_q", Codes(weight));
        CheckGroups(golden, "w_scale", weight.Components[1].Value);
        if (weight is Int4Tensor int4)
        {
            CheckGroups(golden, "w_zero_point", int4.ZeroPoint!);
        }

        if (golden.Outputs.Contains("w_dequant"))
        {
            golden.Check("w_dequant", weight.Dequantize());
        }

        using IDisposable noGradient = no_grad();
        foreach (string output in golden.Outputs.Where(name => name.StartsWith('y')))
        {
            golden.Check(output, layer.call(golden.Input("x" + output[1..])));
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void A_small_model_has_the_outputs_of_torchao(string id)
    {
        using DisposeScope scope = NewDisposeScope();
        GoldenCase golden = GoldenArea.B.Cases[id];
        using QuantizedLinear first = Layer(golden.Input("0.weight"), golden.Input("0.bias"), golden);
        using QuantizedLinear second = Layer(golden.Input("2.weight"), null, golden);
        using IDisposable noGradient = no_grad();

        golden.Check("y", second.call(nn.functional.relu(first.call(golden.Input("x")))));
    }

    [Theory]
    [MemberData(nameof(TensorOperations))]
    public void Cuts_copies_and_conversions_have_the_values_of_torchao(string id)
    {
        using DisposeScope scope = NewDisposeScope();
        GoldenCase golden = GoldenArea.B.Cases[id];
        var config = new Int8WeightOnlyConfig { GroupSize = id.EndsWith("_g", StringComparison.Ordinal) ? 32 : null };
        using QuantizedTensor weight = BuiltInFormats.Catalog.Handler(config).Quantize(golden.Input("weight"), config);
        using QuantizedTensor copy = weight.To(CPU);
        using QuantizedTensor converted = weight.To(CPU, ScalarType.BFloat16);

        golden.Check("clone_dequant", copy.Dequantize());
        golden.Check("to_bf16_dequant", converted.Dequantize());
        if (weight.GroupSize == 128)
        {
            // With groups, torchao's own transpose dequantizes to wrong values (5 dB): on record, not to be met.
            golden.Check("t_dequant", weight.Dequantize().t());
        }

        CheckCut(golden, weight, 0);
        CheckCut(golden, weight, 1);
        golden.Check("embedding", weight.Dequantize()[golden.Input("idx")]);
    }

    [Theory]
    [InlineData("B/skip/int4wo_indivisible")]
    [InlineData("B/error/int8wo_indivisible")]
    public void A_weight_whose_rows_the_group_does_not_divide_is_left_alone_with_a_reason(string id)
    {
        GoldenCase golden = GoldenArea.B.Cases[id];
        long[] shape = [.. golden.Params.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())];
        QuantizeConfig config = Config(golden);
        var facts = new WeightFacts(shape[0], shape[1], ScalarType.Float32, DeviceType.CPU);

        string? reason = BuiltInFormats.Catalog.Handler(config).ReasonToSkip(facts, config);

        Assert.StartsWith($"in_features {shape[1]} is not a multiple of GroupSize ", reason, StringComparison.Ordinal);
    }

    private static void CheckCut(GoldenCase golden, QuantizedTensor weight, int dimension)
    {
        if (golden.Params.TryGetProperty($"slice{dimension}", out JsonElement range))
        {
            (long start, long end) = (range[0].GetInt64(), range[1].GetInt64());
            using QuantizedTensor cut = weight.Narrow(dimension, start, end - start);
            golden.Check($"slice{dimension}_dequant", cut.Dequantize());
        }
    }

    // torchao pads K to a multiple of 1024 before it quantizes for tinygemm; the padding's groups stand behind ours.
    private static void CheckGroups(GoldenCase golden, string name, Tensor actual)
    {
        Tensor expected = golden.Output(name);
        Tensor groups = expected.dim() == 1 ? expected.unsqueeze(1) : expected.narrow(1, 0, actual.size(1));
        Assert.Equal(groups.dtype, actual.dtype);
        Assert.Equal(groups.shape, actual.shape);
        Assert.True(groups.equal(actual).all().item<bool>(), $"{golden.Id}: {name} differs");
    }

    private static Tensor Codes(QuantizedTensor weight) =>
        weight is Int4Tensor int4 ? int4.UnpackCodes() : weight.Components[0].Value;

    private static QuantizedLinear Layer(Tensor weight, Tensor? bias, GoldenCase golden)
    {
        QuantizeConfig config = Config(golden);
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        return new QuantizedLinear(
            BuiltInFormats.Catalog.Format(handler.FormatName).CreateExecutor(handler.Quantize(weight, config)),
            bias is null ? null : new Parameter(bias));
    }

    private static QuantizeConfig Config(GoldenCase golden)
    {
        JsonElement args = golden.ConfigArgs;
        long? groupSize = args.ValueKind == JsonValueKind.Object && args.TryGetProperty("group_size", out JsonElement size)
            && size.ValueKind == JsonValueKind.Number ? size.GetInt64() : null;
        string name = golden.Params.GetProperty("config").GetString()!;
        return name switch
        {
            "Int8WeightOnlyConfig" => new Int8WeightOnlyConfig { GroupSize = groupSize },
            "Int4WeightOnlyConfig" => new Int4WeightOnlyConfig { GroupSize = groupSize },
            "Float8WeightOnlyConfig" => new Float8WeightOnlyConfig
            {
                WeightDType = args.GetProperty("weight_dtype").GetString() == "float8_e5m2"
                    ? ScalarTypes.Float8E5M2
                    : ScalarTypes.Float8E4M3,
            },
            _ => throw new NotSupportedException(name),
        };
    }

    private static TheoryData<string> Where(Regex pattern) => [.. GoldenArea.B.Cases.Keys.Where(id => pattern.IsMatch(id))];

    [GeneratedRegex("^B/(cuda_)?(int8wo(_g|_nobias)?|fp8wo_e[45]m[23]|int4wo(_cpu_layout)?_g[0-9]+(_ikt4)?)/")]
    private static partial Regex LinearCase();

    [GeneratedRegex("^B/(cuda_)?model/(int8wo|fp8wo|int4wo_g32)/")]
    private static partial Regex ModelCase();

    [GeneratedRegex("^B/tensor_ops/int8wo")]
    private static partial Regex TensorOperationCase();
}
