using System.Globalization;
using System.Text;
using TorchAO.Configuration;

namespace TorchAO.Lifecycle;

/// <summary>The ranges that the inputs of a model's layers had: numbers and names, nothing to dispose.</summary>
/// <remarks>
/// It belongs to module names, not to objects: what was measured on one copy of a model serves every other, such as one that
/// is quantized while its checkpoint is read.
/// </remarks>
/// <param name="Layers">A row for each layer that was reached, in the model's order.</param>
public sealed record CalibrationResult(IReadOnlyList<CalibratedLayer> Layers)
{
    /// <summary>Finds a layer's row, or <see langword="null"/> where it was not calibrated.</summary>
    public CalibratedLayer? Find(string name) => Layers.FirstOrDefault(layer => layer.Name == name);

    /// <summary>Makes a layer's own config.</summary>
    /// <param name="name">The layer's name.</param>
    /// <param name="config">What to do; a grid for activations that it has is replaced.</param>
    /// <exception cref="QuantizationException">The layer was not calibrated, its range serves no grid, or the config is wrong.</exception>
    public QuantizeConfig ConfigFor(string name, IStaticActivationConfig config)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(config);
        CalibratedLayer layer = Find(name) ?? throw new QuantizationException(
            $"module '{name}' is not among the {Layers.Count} layers of the calibration; near: " +
            $"{NearNames.List(name, Layers.Select(each => each.Name))}. Calibrate with inputs that reach it, or skip it by a rule.");
        try
        {
            return config.WithRange(layer.Min, layer.Max);
        }
        catch (QuantizationException e)
        {
            throw new QuantizationException($"module '{name}': {e.Message}", e);
        }
    }

    /// <summary>Makes rules that give every calibrated layer its own config and leave all others as they are.</summary>
    /// <param name="config">What to do, such as <c>new Float8StaticActivationFloat8WeightConfig()</c>.</param>
    /// <returns>One rule a layer; a <see cref="QuantizeRecipe"/> writes them to a file.</returns>
    /// <exception cref="QuantizationException">A layer's range serves no grid, or the config is wrong.</exception>
    public ModuleRules ToRules(IStaticActivationConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var rules = new ModuleRules();
        foreach (CalibratedLayer layer in Layers)
        {
            rules.Add(layer.Name, ConfigFor(layer.Name, config)); // names hold no wildcards
        }

        return rules;
    }

    /// <summary>Writes the ranges as a table, for people.</summary>
    public override string ToString()
    {
        string[][] rows =
        [
            ["layer", "min", "max", "calls", "tokens"],
            .. Layers.Select(layer => new[] { layer.Name, Text(layer.Min), Text(layer.Max), $"{layer.Calls}", $"{layer.Tokens}" }),
        ];
        var text = new StringBuilder();
        TextTable.Append(text, rows, isNumber: column => column > 0);
        return text.Append(CultureInfo.InvariantCulture, $"{Layers.Count} layers calibrated").ToString();
    }

    private static string Text(float value) => value.ToString("g6", CultureInfo.InvariantCulture);
}
