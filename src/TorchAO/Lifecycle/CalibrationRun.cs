using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>A model whose linear layers are watched: run it on typical inputs, then <see cref="Complete"/> gives their ranges.</summary>
/// <remarks>
/// Until <see cref="Complete"/> or <see cref="Dispose"/> the model is to be run, best under <c>no_grad</c>, and nothing else: it must
/// not be moved, converted, trained, quantized or saved. Both leave it as it was, its parameters the same objects.
/// </remarks>
public sealed class CalibrationRun : IDisposable
{
    private readonly string model;
    private readonly CalibrationOptions options;
    private readonly OrderedDictionary<LayerSite, LayerRange> ranges = [];
    private readonly LinearObservation observation;
    private bool isOver;

    internal CalibrationRun(nn.Module model, CalibrationOptions options)
    {
        (this.model, this.options) = (model.GetType().Name, options);
        IReadOnlyList<LayerSite> sites = LinearObservation.Find(model, options.Filter, "CalibrationOptions.Filter");
        foreach (LayerSite site in sites)
        {
            ranges.Add(site, new LayerRange(site));
        }

        observation = new LinearObservation(sites, (site, input) => ranges[site].Add(input));
    }

    /// <summary>Stops watching and reads the ranges.</summary>
    /// <returns>A range for each layer, in the model's order.</returns>
    /// <exception cref="InvalidOperationException">The run is over.</exception>
    /// <exception cref="QuantizationException">A layer was never reached, or saw NaN or infinity; the message names all of them.</exception>
    public CalibrationResult Complete()
    {
        if (isOver)
        {
            throw new InvalidOperationException("The run is over, and a model is read once; begin another with PrepareCalibration().");
        }

        isOver = true;
        observation.Dispose();
        try
        {
            RequireReached();
            CalibratedLayer[] layers = [.. ranges.Values.Where(range => range.IsSeen).Select(range => range.Read())];
            RequireFinite(layers);
            return new CalibrationResult(options.SharesRange ? Share(layers) : layers);
        }
        finally
        {
            Release();
        }
    }

    /// <summary>Stops watching; the model is as it was.</summary>
    public void Dispose()
    {
        isOver = true;
        observation.Dispose();
        Release();
    }

    private static CalibratedLayer[] Share(CalibratedLayer[] layers)
    {
        float min = layers.Min(layer => layer.Min), max = layers.Max(layer => layer.Max);
        return [.. layers.Select(layer => layer with { Min = min, Max = max })];
    }

    private void RequireReached()
    {
        string[] unseen = [.. ranges.Values.Where(range => !range.IsSeen).Select(range => range.Name)];
        if (unseen.Length == ranges.Count || (unseen.Length > 0 && !options.AllowUnseen))
        {
            throw new QuantizationException(
                $"model {model}: {unseen.Length} of {ranges.Count} layers saw no input in the calibration: {Names(unseen)}. Run the model on " +
                "inputs that reach them, leave them out by CalibrationOptions.Filter, or set AllowUnseen; nothing was changed.");
        }
    }

    private void RequireFinite(CalibratedLayer[] layers)
    {
        CalibratedLayer[] bad = [.. layers.Where(layer => !float.IsFinite(layer.Min) || !float.IsFinite(layer.Max))];
        if (bad.Length > 0)
        {
            throw new QuantizationException(
                $"model {model}: {bad.Length} of {layers.Length} layers got NaN or infinity in the calibration, expected finite inputs: " +
                $"{Names([.. bad.Select(layer => $"{layer.Name} (from {layer.Min} to {layer.Max})")])}. Look before the first of them for the " +
                "input or weight that overflows, or run in a wider type such as float32; nothing was changed.");
        }
    }

    private static string Names(string[] names) => $"{string.Join(", ", names.Take(20))}{(names.Length > 20 ? ", ..." : string.Empty)}";

    private void Release()
    {
        foreach (LayerRange range in ranges.Values)
        {
            range.Dispose();
        }
    }
}
