using TorchAO.Modules;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>swap_conv2d_1x1_to_linear.</summary>
internal sealed class PointwiseConvolutionHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => recorded.Area == "B" && recorded.Calls("swap_conv2d_1x1_to_linear");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        Tensor weight = run.Input("weight");
        Tensor? bias = recorded.Inputs.ContainsKey("bias") ? run.Input("bias") : null;
        using Conv2d convolution = nn.Conv2d(
            weight.size(1), weight.size(0), (weight.size(2), weight.size(3)), bias: bias is not null, dtype: weight.dtype);
        using (no_grad())
        {
            convolution.weight!.copy_(weight);
            if (bias is not null)
            {
                convolution.bias!.copy_(bias);
            }
        }

        using Sequential model = nn.Sequential(("layer", (nn.Module<Tensor, Tensor>)convolution));
        model.SwapPointwiseConvolutions();
        run.Expect("y", ((PointwiseLinear)model[0]).forward(run.Input("x")).detach());
    }
}
