using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>The functions of torchao's quantization/utils.py.</summary>
internal sealed class QuantizationUtilitiesHandler : IGoldenHandler
{
    private static readonly Dictionary<string, Action<GoldenCase, GoldenRun>> Calls = new()
    {
        ["quantize_activation_per_token_absmax"] = PerToken,
        ["dynamically_quantize_per_channel"] = PerChannel,
        ["get_groupwise_affine_qparams"] = Groupwise,
        ["per_token_dynamic_quant"] = (_, run) =>
            run.Expect("y", TokenQuantization.FakeQuantizeAsymmetric(run.Input("x"))),
        ["quant_int8_dynamic_per_token_linear"] = Linear,
        ["compute_error"] = (_, run) =>
            run.Expect("sqnr", tensor((float)SignalToNoise.Decibels(run.Input("x"), run.Input("y")))),
    };

    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "A" && Calls.Keys.Any(recorded.Calls);

    public void Run(GoldenCase recorded, GoldenRun run) =>
        Calls[Calls.Keys.Single(recorded.Calls)](recorded, run);

    private static void PerToken(GoldenCase recorded, GoldenRun run)
    {
        (Tensor codes, Tensor scale) = TokenQuantization.Quantize(run.Input("x"));
        run.Expect("q", codes);
        run.Expect("scale", scale);
    }

    private static (Tensor Codes, QParams QParams, AffineScheme Scheme, long[] Block) QuantizeRows(Tensor weight)
    {
        var scheme = new AffineScheme(QuantizedType.Int8)
        {
            Epsilon = 1.1920928955078125e-7,
            ZeroPointType = ScalarType.Int64,
        };
        long[] block = new PerRow().BlockSize(weight.shape);
        QParams qparams = AffineQuantization.ChooseQParams(weight, block, scheme);
        return (AffineQuantization.Quantize(weight, block, qparams, scheme), qparams, scheme, block);
    }

    private static void PerChannel(GoldenCase recorded, GoldenRun run)
    {
        Tensor weight = run.Input("w");
        (Tensor codes, QParams qparams, AffineScheme scheme, long[] block) = QuantizeRows(weight);
        run.Expect("q", codes);
        run.Expect("scale", qparams.Scale);
        run.Expect("zero_point", qparams.ZeroPoint);
        run.Expect(
            "dequantize_per_channel", AffineQuantization.Dequantize(codes, block, qparams, scheme, weight.dtype));
    }

    private static void Groupwise(GoldenCase recorded, GoldenRun run)
    {
        Tensor weight = run.Input("w");
        int bits = recorded.Int("n_bit");
        int group = recorded.Int("groupsize");
        AffineScheme scheme = GroupwiseQuantization.TinyGemm(bits);
        (Tensor codes, QParams qparams) = GroupwiseQuantization.Quantize(weight, group, scheme);
        run.Expect("scale", qparams.Scale);
        run.Expect("zero", qparams.ZeroPoint);
        run.Expect("q_cpu_unpacked_int32", codes);
        run.Expect("scales_and_zeros", GroupwiseQuantization.PackTinyGemm(qparams.Scale, qparams.ZeroPoint!));
        run.Expect("dequant", AffineQuantization.Dequantize(codes, [1, group], qparams, scheme, qparams.Scale.dtype));

        AffineScheme symmetric = GroupwiseQuantization.Symmetric(bits);
        (_, QParams chosen) = GroupwiseQuantization.Quantize(weight, group, symmetric);
        run.Expect("sym_scale", chosen.Scale);
        run.Expect("sym_zero", chosen.ZeroPoint);

        // group_quantize_tensor_symmetric casts the weight to the precision of the scales first.
        (Tensor signed, QParams steps) =
            GroupwiseQuantization.Quantize(weight.to_type(ScalarType.Float32), group, symmetric);
        run.Expect("sym_q", signed);
        run.Expect("sym_q_scale", steps.Scale);
    }

    private static void Linear(GoldenCase recorded, GoldenRun run)
    {
        (Tensor codes, QParams qparams, _, _) = QuantizeRows(run.Input("w"));
        run.Expect("y", TokenQuantization.Linear(run.Input("x"), codes, qparams.Scale));
    }
}
