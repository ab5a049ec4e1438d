using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>choose_qparams_affine, alone or followed by quantize_affine and dequantize_affine, and its min/max
/// form.</summary>
internal sealed class AffineHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "A" && recorded.Has("target_dtype");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        AffineScheme scheme = SchemeOf(recorded);
        if (recorded.Inputs.ContainsKey("min_val"))
        {
            QParams observed = AffineQuantization.ChooseQParamsFromRange(
                run.Input("min_val"), run.Input("max_val"), scheme);
            run.Expect("scale", observed.Scale);
            run.Expect("zero_point", observed.ZeroPoint);
            return;
        }

        Tensor x = run.Input("x");
        long[] block = recorded.Longs("block_size");
        QParams qparams = AffineQuantization.ChooseQParams(x, block, scheme);
        run.Expect("scale", qparams.Scale);
        run.Expect("zero_point", qparams.ZeroPoint);
        Tensor codes = AffineQuantization.Quantize(x, block, qparams, scheme);
        run.Expect("q", codes);
        ScalarType dtype = recorded.Dtype("dequant_output_dtype") ?? x.dtype;
        run.Expect("dq", AffineQuantization.Dequantize(codes, block, qparams, scheme, dtype));
    }

    internal static AffineScheme SchemeOf(GoldenCase recorded, string target = "target_dtype") =>
        new(QuantizedType.Named(recorded.Text(target))
            .Within(recorded.Number("quant_min"), recorded.Number("quant_max")))
        {
            Mapping = !recorded.Has("mapping_type") ? MappingType.Symmetric : recorded.Text("mapping_type") switch
            {
                "SYMMETRIC" => MappingType.Symmetric,
                "SYMMETRIC_NO_CLIPPING_ERR" => MappingType.SymmetricNoClippingError,
                _ => MappingType.Asymmetric,
            },
            Domain = DomainOf(recorded.Has("zero_point_domain") ? recorded.Text("zero_point_domain") : "INT"),
            Epsilon = recorded.Number("eps"),
            ScaleType = recorded.Dtype("scale_dtype"),
            ZeroPointType = recorded.Dtype("zero_point_dtype"),
            PreserveZero = recorded.Flag("preserve_zero", otherwise: true),
        };

    private static ZeroPointDomain DomainOf(string name) => name switch
    {
        "INT" => ZeroPointDomain.Integer,
        "FLOAT" => ZeroPointDomain.Float,
        _ => ZeroPointDomain.None,
    };
}
