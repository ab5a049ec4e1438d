using TorchAO.Algorithms.AutoQuant;
using TorchAO.Formats;
using static TorchSharp.torch;

namespace TorchAO;

public static partial class ModelExtensions
{
    /// <summary>Measures which format is fastest for each linear layer on this machine, and quantizes the model in place.</summary>
    /// <remarks>torchao's <c>autoquant</c>. Each layer's candidates compete on the counts of rows that the example inputs brought it;
    /// a layer that nothing makes faster stays as it is.</remarks>
    /// <param name="model">The model, on the device on which it will run.</param>
    /// <param name="run">Runs the model once or more on inputs like those it will get: <c>() => model.call(x).Dispose()</c>.</param>
    /// <param name="options">Candidates, accuracy floor, file of measurements; the defaults if absent.</param>
    /// <returns>What was measured and chosen.</returns>
    /// <exception cref="QuantizationException">No layer is there, one was not reached, or one cannot be quantized; the model is as
    /// it was. What <paramref name="run"/> throws goes to the caller, and the model is as it was.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; the model is as it was.</exception>
    public static AutoQuantReport AutoQuantize(this nn.Module model, Action run, AutoQuantOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(run);
        using AutoQuantRun watched = model.PrepareAutoQuantize(options);
        using (no_grad())
        {
            run();
        }

        return watched.Complete();
    }

    /// <summary>Measures and quantizes as <see cref="AutoQuantize(nn.Module, Action, AutoQuantOptions?)"/> does, for one example input.</summary>
    /// <inheritdoc cref="AutoQuantize(nn.Module, Action, AutoQuantOptions?)"/>
    /// <param name="model">The model.</param>
    /// <param name="example">An input like those the model will get; not consumed.</param>
    /// <param name="options">Candidates, accuracy floor, file of measurements; the defaults if absent.</param>
    public static AutoQuantReport AutoQuantize(
        this nn.Module<Tensor, Tensor> model, Tensor example, AutoQuantOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(example);
        return model.AutoQuantize(() => model.call(example).Dispose(), options);
    }

    /// <summary>Begins to watch a model, for several inputs of different shapes.</summary>
    /// <param name="model">The model, on the device on which it will run.</param>
    /// <param name="options">Candidates, accuracy floor, file of measurements; the defaults if absent.</param>
    /// <returns>The run: use the model, then call <see cref="AutoQuantRun.Complete"/>. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">No layer is there to choose for, or a candidate is wrong.</exception>
    public static AutoQuantRun PrepareAutoQuantize(this nn.Module model, AutoQuantOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        options ??= new();
        return new AutoQuantRun(model, BuiltInFormats.Catalog, options.Candidates ?? AutoQuantCandidates.Default, options);
    }
}
