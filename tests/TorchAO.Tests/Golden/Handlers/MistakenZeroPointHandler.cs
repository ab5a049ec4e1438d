using TorchAO.Formats.Int4;
using TorchAO.Modules;
using TorchAO.Primitives;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>
/// HQQ with torchao's CPU layout, which takes HQQ's zero points, codes, for values. The vectors record that; we make the
/// mistake again from our codes to compare with them, and hold our own result against the unquantized layer.
/// </summary>
internal sealed class MistakenZeroPointHandler : IGoldenHandler
{
    // What 4 bits give on the recorded weights, whose groups have outliers; torchao's own result is below 0.
    private const double LeastDecibels = 16;

    public bool Handles(GoldenCase recorded) =>
        WeightOnly.HasConfig(recorded) && WeightOnly.MistakesZeroPoints(recorded) && recorded.Outputs.ContainsKey("w_q");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        Tensor values = run.Input("weight");
        Tensor bias = run.Input("bias");
        using QuantizedLinear layer = WeightOnly.Layer(WeightOnly.Config(recorded), values, bias.clone());
        var weight = (Int4Tensor)layer.Weight;
        (_, QParams mistaken) = HqqQuantization.Quantize(values, new HqqOptions
        {
            GroupSize = weight.GroupSize,
            ComputeType = weight.DType,
            RawOutput = true,
        });
        Tensor wrong = Int4Grid.Codes.Dequantize(weight.UnpackCodes(), mistaken, weight.DType);
        run.Expect("w_scale", weight.Scale);
        run.Expect("w_zero_point", mistaken.ZeroPoint);
        run.Expect("w_dequant", wrong);

        // torchao reads the codes of this layout back from the values.
        run.Expect("w_q", Int4Grid.Codes.Quantize(wrong, mistaken));

        using IDisposable noGradient = no_grad();
        foreach (string output in recorded.Outputs.Keys.Where(name => name.StartsWith('y')))
        {
            Tensor input = run.Input("x" + output[1..]);
            Tensor actual = layer.call(input);
            run.Differs(output, actual);
            Tensor expected = nn.functional.linear(input, values, bias);
            Assert.InRange(Accuracy.Decibels(expected, actual), LeastDecibels, double.PositiveInfinity);
            Assert.InRange(Accuracy.Decibels(expected, run.Recorded(output)), double.NegativeInfinity, 0);
        }
    }
}
