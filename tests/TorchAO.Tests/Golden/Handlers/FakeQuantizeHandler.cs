using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>fake_quantize_affine and fake_quantize_affine_cachemask.</summary>
internal sealed class FakeQuantizeHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => recorded.Area == "A" && recorded.Calls("fake_quantize_affine");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        Tensor x = run.Input("x");
        AffineScheme scheme = AffineHandler.SchemeOf(recorded, "quant_dtype");
        var qparams = new QParams(
            run.Input("scale"), recorded.Inputs.ContainsKey("zero_point") ? run.Input("zero_point") : null);
        long[] block = recorded.Longs("block_size");
        run.Expect("fq", AffineQuantization.FakeQuantize(x, block, qparams, scheme));
        (Tensor values, Tensor mask) = AffineQuantization.FakeQuantizeWithMask(x, block, qparams, scheme);
        run.Expect("fq_cachemask", values);
        run.Expect("mask", mask);
    }
}
