using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>What torchao's affine primitives refuse.</summary>
internal sealed class AffineErrorHandler : IGoldenHandler
{
    private static readonly long[] Rows = [1, 64];
    private static readonly AffineScheme Int8 = new(QuantizedType.Int8);
    private static readonly AffineScheme Asymmetric = Int8 with { Mapping = MappingType.Asymmetric };

    private static readonly Dictionary<string, Action<Tensor>> Calls = new()
    {
        ["sym_no_preserve_zero"] = x => Choose(x, Rows, Int8 with { PreserveZero = false }),
        ["sym_float_domain"] = x => Choose(x, Rows, Int8 with { Domain = ZeroPointDomain.Float }),
        ["asym_no_preserve_int"] = x => Choose(x, Rows, Asymmetric with { PreserveZero = false }),
        ["domain_none_object"] = x => Choose(x, Rows, Int8 with { Domain = (ZeroPointDomain)(-1) }),
        ["quant_min_out_of_bound"] = x => Choose(x, Rows, new(QuantizedType.Int8.Within(-129, 127))),
        ["quant_max_out_of_bound"] = x => Choose(x, Rows, new(QuantizedType.UInt8.Within(0, 256))),
        ["fp8_asym"] = x => Choose(x, Rows, Asymmetric with { Target = QuantizedType.Float8E4M3 }),
        ["unsupported_dtype"] = x => Choose(x, Rows, new(QuantizedType.Named("int64"))),
        ["block_not_dividing"] = x => Choose(x, [1, 63], Int8),
        ["block_rank"] = x => Choose(x, [64], Int8),
        ["quantize_none_domain_with_zp"] = x => AffineQuantization.Quantize(
            x, Rows, Choose(x, Rows, Int8), Int8 with { Domain = ZeroPointDomain.None }),
        ["quantize_int_input"] = x => AffineQuantization.Quantize(
            x.to_type(ScalarType.Int32), Rows, Choose(x, Rows, Int8), Int8),
        ["dequantize_wrong_input_dtype"] = x => AffineQuantization.Dequantize(
            Codes(x), Rows, Choose(x, Rows, Int8), new(QuantizedType.UInt8)),
        ["dequantize_bad_output_dtype"] = x => AffineQuantization.Dequantize(
            Codes(x), Rows, Choose(x, Rows, Int8), Int8, ScalarType.Float64),
        ["cachemask_without_range"] = x => AffineQuantization.FakeQuantizeWithMask(
            x, Rows, Choose(x, Rows, Int8), new(null!)),
    };

    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "A" && recorded.Family == "error" && Calls.ContainsKey(recorded.Call);

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        Tensor x = run.Input("x");
        run.Refuses(() => Calls[recorded.Call](x));
    }

    private static QParams Choose(Tensor x, long[] block, AffineScheme scheme) =>
        AffineQuantization.ChooseQParams(x, block, scheme);

    private static Tensor Codes(Tensor x) => AffineQuantization.Quantize(x, Rows, Choose(x, Rows, Int8), Int8);
}
