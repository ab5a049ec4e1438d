using TorchAO.Formats.Int4;
using TorchAO.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>HQQ with torchao's CPU layout, which takes zero points that are codes for values: the codes are right, the rest is not.</summary>
internal sealed class MistakenZeroPointHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        WeightOnly.HasConfig(recorded) && WeightOnly.MistakesZeroPoints(recorded) && recorded.Outputs.ContainsKey("w_q");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        Tensor values = run.Input("weight");
        using QuantizedLinear layer = WeightOnly.Layer(WeightOnly.Config(recorded), values, run.Input("bias"));
        var weight = (Int4Tensor)layer.Weight;
        run.Expect("w_q", weight.UnpackCodes());
        run.Expect("w_scale", weight.Scale);

        // A zero point that is a value is the distance of code 8 from the one that stands for 0.
        run.Expect("w_zero_point", -(weight.ZeroPoint! / weight.Scale) + Int4Grid.Codes.Middle);
        run.Differs("w_dequant", weight.Dequantize());

        using IDisposable noGradient = no_grad();
        foreach (string output in recorded.Outputs.Keys.Where(name => name.StartsWith('y')))
        {
            Tensor input = run.Input("x" + output[1..]);
            Tensor actual = layer.call(input);
            run.Differs(output, actual);
            Tensor expected = nn.functional.linear(input, values, run.Input("bias"));
            Assert.InRange(Accuracy.Decibels(expected, actual), 19, double.PositiveInfinity);
        }
    }
}
