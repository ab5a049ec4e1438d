using System.Globalization;
using TorchAO.Lifecycle;
using TorchAO.Primitives;
using TorchAO.Primitives.Observers;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>insert_observers_: batches x0, x1, … run through linear layers 0, 1, … that share one observer of inputs and one of weights.</summary>
internal sealed class InsertObserversHandler : IGoldenHandler
{
    private const double LastBitsDecibels = 120; // one part in a million; the index allows outputs twenty

    private static readonly AffineScheme Scheme = new(QuantizedType.Float8E4M3) { Domain = ZeroPointDomain.None };

    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "B" && recorded.Calls("insert_observers_") && recorded.Inputs.ContainsKey("0.weight");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        string[] names =
        [
            .. Enumerable.Range(0, recorded.Inputs.Count).Select(i => i.ToString(CultureInfo.InvariantCulture))
                .TakeWhile(name => recorded.Inputs.ContainsKey($"{name}.weight")),
        ];
        Tensor[] batches =
        [
            .. Enumerable.Range(0, recorded.Inputs.Count).Select(i => $"x{i}").TakeWhile(recorded.Inputs.ContainsKey).Select(run.Input),
        ];
        using Sequential model = nn.Sequential(
            names.Select(name => (name, (nn.Module<Tensor, Tensor>)Layer(run.Input($"{name}.weight"), run.Input($"{name}.bias")))).ToArray());
        using var input = new MinMaxObserver(new PerTensor(), Scheme);
        using var weight = new MinMaxObserver(new PerAxis(0), Scheme);
        using IDisposable noGradient = no_grad();
        using (InsertedObservers inserted = torchao.insert_observers_(model, input, weight))
        {
            Assert.Equal(names, inserted.Layers);
            foreach (Tensor batch in batches)
            {
                Tensor output = model.forward(batch);
                if (ReferenceEquals(batch, batches[^1]))
                {
                    run.Expect("y", output);
                }
            }
        }

        using QParams ofInput = input.CalculateQParams(), ofWeight = weight.CalculateQParams();
        CalibrationResult calibration = model.Calibrate(batches, new() { SharesRange = true });
        Assert.Equal(LargestInput(model, batches), input.Max.item<float>());
        foreach (string name in names)
        {
            // The largest input is one of the second layer: a float32 sum whose order, and so last bits, libtorch chooses by
            // processor. That the observer has exactly what the layer was given is the assertion above.
            run.ExpectSignal($"{name}.input_scale", ofInput.Scale, LastBitsDecibels);
            run.Expect($"{name}.weight_scale", ofWeight.Scale);
            Assert.Equal(
                ofInput.Scale.item<float>(),
                ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: true)
                    .ChooseStaticScale(calibration.Find(name)!.Min, calibration.Find(name)!.Max));
        }
    }

    private static float LargestInput(Sequential model, Tensor[] batches)
    {
        float largest = float.MinValue;
        foreach (Tensor batch in batches)
        {
            Tensor x = batch;
            foreach (Linear layer in model.children().Cast<Linear>())
            {
                largest = Math.Max(largest, x.max().item<float>());
                x = layer.forward(x);
            }
        }

        return largest;
    }

    private static Linear Layer(Tensor weight, Tensor bias)
    {
        Linear layer = nn.Linear(weight.size(1), weight.size(0));
        layer.weight = new Parameter(weight);
        layer.bias = new Parameter(bias);
        return layer;
    }
}
