using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>The functions with which torchao's configs round activations.</summary>
internal sealed class ActivationSchemeHandler : IGoldenHandler
{
    private const string Prefix = "quant_api.";

    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "B" && recorded.Call.StartsWith(Prefix, StringComparison.Ordinal) && Scheme(recorded) is not null;

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        Tensor x = run.Input("x");
        (Tensor codes, QParams qparams) = Scheme(recorded)!.Quantize(x);
        run.Expect("x_q", codes);
        run.Expect("x_scale", qparams.Scale.reshape(run.Recorded("x_scale").shape));
        if (run.HasOutput("x_zero_point"))
        {
            // torchao stores zeros for symmetric grids, in the type of its own choice; ours has none.
            Tensor recordedZero = run.Recorded("x_zero_point");
            run.Expect("x_zero_point", qparams.ZeroPoint?.reshape(recordedZero.shape) ?? zeros_like(recordedZero));
        }

        run.Expect("x_dequant", Scheme(recorded)!.Round(x).to(x.dtype));
        if (run.HasOutput("x_packed.int_data"))
        {
            run.Expect("x_packed.int_data", DynamicActivation.PackSigned(codes));
        }
    }

    private static ActivationScheme? Scheme(GoldenCase recorded) => recorded.Call[Prefix.Length..] switch
    {
        "_int8_asymm_per_token_quant" => ActivationScheme.Int8PerTokenAsymmetric,
        "_int8_symm_per_token_quant" => ActivationScheme.Int8PerToken with { HasFloat32Scales = true },
        "_int8_symm_per_token_reduced_range_quant" => ActivationScheme.Int8PerToken,
        "_int8_symm_per_token_reduced_range_quant_cutlass" => ActivationScheme.Int8PerToken with { WidensHalfScales = false },
        "_int4_symm_per_token_quant_cutlass" => ActivationScheme.Int4PerToken,
        "_input_activation_quant_func_fp8" => ActivationScheme.Float8(
            QuantizedType.Named(recorded.Text("activation_dtype")), recorded.Text("activation_granularity") == "PerTensor"),
        _ => null,
    };
}
