using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>choose_qparams_and_quantize_affine_hqq.</summary>
internal sealed class HqqHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "A" && recorded.Calls("choose_qparams_and_quantize_affine_hqq");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        var options = new HqqOptions
        {
            Bits = recorded.Int("nbits"),
            GroupSize = recorded.Int("group_size"),
            Axis = recorded.Int("axis"),
            Optimize = recorded.Flag("optimize", otherwise: true),
            ComputeType = recorded.Dtype("compute_dtype") ?? ScalarType.Float16,
            RawOutput = recorded.Flag("raw_output", otherwise: false),
        };
        (Tensor codes, QParams qparams) = HqqQuantization.Quantize(run.Input("x"), options);
        run.Expect("q", codes);
        run.Expect("scale", qparams.Scale);
        run.Expect("zero", qparams.ZeroPoint);
    }
}
