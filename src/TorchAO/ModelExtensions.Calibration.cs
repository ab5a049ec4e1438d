using TorchAO.Lifecycle;
using static TorchSharp.torch;

namespace TorchAO;

public static partial class ModelExtensions
{
    /// <summary>Measures the range of every linear layer's inputs while a model runs; changes nothing.</summary>
    /// <remarks>Configs with static activations take their scales from it: <c>new QuantizeOptions { Calibration = result }</c>.</remarks>
    /// <param name="model">Any module; layers that are quantized already are not watched.</param>
    /// <param name="run">Runs the model on typical inputs, under <c>no_grad</c>: <c>() => model.call(x).Dispose()</c>.</param>
    /// <param name="options">Filter, one range for all, unseen layers; the defaults if absent.</param>
    /// <returns>The ranges: plain numbers by module name.</returns>
    /// <exception cref="QuantizationException">No layer is there, one was not reached, or one saw NaN or infinity. What
    /// <paramref name="run"/> throws goes to the caller. The model is as it was in each case.</exception>
    public static CalibrationResult Calibrate(this nn.Module model, Action run, CalibrationOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(run);
        using CalibrationRun watched = model.PrepareCalibration(options);
        using (no_grad())
        {
            run();
        }

        return watched.Complete();
    }

    /// <summary>Measures as <see cref="Calibrate(nn.Module, Action, CalibrationOptions?)"/> does, over example inputs.</summary>
    /// <inheritdoc cref="Calibrate(nn.Module, Action, CalibrationOptions?)"/>
    /// <param name="model">The model.</param>
    /// <param name="examples">Inputs like those the model will get; not consumed.</param>
    /// <param name="options">Filter, one range for all, unseen layers; the defaults if absent.</param>
    public static CalibrationResult Calibrate(
        this nn.Module<Tensor, Tensor> model, IEnumerable<Tensor> examples, CalibrationOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(examples);
        return model.Calibrate(
            () =>
            {
                foreach (Tensor example in examples)
                {
                    model.call(example).Dispose();
                }
            },
            options);
    }

    /// <summary>Measures as <see cref="Calibrate(nn.Module, Action, CalibrationOptions?)"/> does, for one example input.</summary>
    /// <inheritdoc cref="Calibrate(nn.Module, Action, CalibrationOptions?)"/>
    /// <param name="model">The model.</param>
    /// <param name="example">An input like those the model will get; not consumed.</param>
    /// <param name="options">Filter, one range for all, unseen layers; the defaults if absent.</param>
    public static CalibrationResult Calibrate(
        this nn.Module<Tensor, Tensor> model, Tensor example, CalibrationOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(example);
        return model.Calibrate([example], options);
    }

    /// <summary>Begins to watch a model, for programs that run it in several places.</summary>
    /// <param name="model">Any module.</param>
    /// <param name="options">Filter, one range for all, unseen layers; the defaults if absent.</param>
    /// <returns>The run: use the model, then call <see cref="CalibrationRun.Complete"/>. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">No layer is there to watch.</exception>
    public static CalibrationRun PrepareCalibration(this nn.Module model, CalibrationOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new CalibrationRun(model, options ?? new());
    }
}
