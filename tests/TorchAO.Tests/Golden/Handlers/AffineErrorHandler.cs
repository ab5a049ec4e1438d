using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>What torchao's affine primitives refuse.</summary>
internal sealed class AffineErrorHandler : IGoldenHandler
{
    private static readonly AffineScheme Int8 = new(QuantizedType.Int8);
    private static readonly AffineScheme Asymmetric = Int8 with { Mapping = MappingType.Asymmetric };

    private static readonly Dictionary<string, Action<Accepted>> Calls = new()
    {
        ["sym_no_preserve_zero"] = a => Choose(a, Int8 with { PreserveZero = false }),
        ["sym_float_domain"] = a => Choose(a, Int8 with { Domain = ZeroPointDomain.Float }),
        ["asym_no_preserve_int"] = a => Choose(a, Asymmetric with { PreserveZero = false }),
        ["domain_none_object"] = a => Choose(a, Int8 with { Domain = (ZeroPointDomain)(-1) }),
        ["quant_min_out_of_bound"] = a => Choose(a, new(QuantizedType.Int8.Within(-129, 127))),
        ["quant_max_out_of_bound"] = a => Choose(a, new(QuantizedType.UInt8.Within(0, 256))),
        ["fp8_asym"] = a => Choose(a, Asymmetric with { Target = QuantizedType.Float8E4M3 }),
        ["unsupported_dtype"] = a => Choose(a, new(QuantizedType.Named("int64"))),
        ["block_not_dividing"] = a => Choose(a with { Block = [1, a.Block[^1] - 1] }, Int8),
        ["block_rank"] = a => Choose(a with { Block = [a.Block[^1]] }, Int8),
        ["quantize_none_domain_with_zp"] = a => AffineQuantization.Quantize(
            a.X, a.Block, a.QParams, Int8 with { Domain = ZeroPointDomain.None }),
        ["quantize_int_input"] = a => AffineQuantization.Quantize(a.IntegerX, a.Block, a.QParams, Int8),
        ["dequantize_wrong_input_dtype"] = a => AffineQuantization.Dequantize(
            a.Codes, a.Block, a.QParams, new(QuantizedType.UInt8)),
        ["dequantize_bad_output_dtype"] = a => AffineQuantization.Dequantize(
            a.Codes, a.Block, a.QParams, Int8, ScalarType.Float64),
        ["cachemask_without_range"] = a => AffineQuantization.FakeQuantizeWithMask(a.X, a.Block, a.QParams, new(null!)),
    };

    public bool Handles(GoldenCase recorded) => recorded.Area == "A" && Calls.ContainsKey(recorded.Call);

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        // Everything up to the call in question is made here and succeeds, so that nothing else can be refused in its place.
        Tensor x = run.Input("x");
        long[] block = new PerRow().BlockSize(x.shape);
        QParams qparams = AffineQuantization.ChooseQParams(x, block, Int8);
        Tensor codes = AffineQuantization.Quantize(x, block, qparams, Int8);
        Accepted accepted = new(x, x.to_type(ScalarType.Int32), block, qparams, codes);
        run.Refuses(() => Calls[recorded.Call](accepted));
    }

    private static void Choose(Accepted accepted, AffineScheme scheme) =>
        AffineQuantization.ChooseQParams(accepted.X, accepted.Block, scheme);

    private sealed record Accepted(Tensor X, Tensor IntegerX, long[] Block, QParams QParams, Tensor Codes);
}
