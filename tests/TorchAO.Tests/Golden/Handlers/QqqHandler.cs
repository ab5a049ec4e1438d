using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>choose_qparams_and_quantize_affine_qqq and dequantize_affine_qqq.</summary>
internal sealed class QqqHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "A" && recorded.Calls("choose_qparams_and_quantize_affine_qqq");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        QqqWeight weight = QqqQuantization.Quantize(run.Input("w"), recorded.Int("group_size"));
        run.Expect("q", weight.Codes);
        run.Expect("s_group", weight.GroupScale);
        run.Expect("s_channel", weight.ChannelScale);
        run.Expect("w_ref", weight.Reference);
        Tensor values = QqqQuantization.Dequantize(weight.Codes, weight.GroupScale, weight.ChannelScale);
        run.Expect("dequant", values);
    }
}
