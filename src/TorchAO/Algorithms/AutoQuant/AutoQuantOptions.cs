using TorchAO.Configuration;
using TorchSharp;

namespace TorchAO.Algorithms.AutoQuant;

/// <summary>What <c>AutoQuantize</c> may choose from, and what a choice has to keep.</summary>
public sealed record AutoQuantOptions
{
    /// <summary>Gets the configs to measure; the layer as it is takes part always.</summary>
    /// <value><see langword="null"/> (the default) stands for <c>AutoQuantCandidates.Default</c>. Of equals, the earlier wins.</value>
    public IReadOnlyList<QuantizeConfig>? Candidates { get; init; }

    /// <summary>Gets the least signal-to-noise ratio of a layer's output in dB, on activations that the layer saw.</summary>
    /// <value><see langword="null"/> (the default) sets no floor; the ratio of the choice is in the report either way.
    /// torchao's <c>min_sqnr</c>, which measures on random numbers.</value>
    /// <exception cref="ArgumentException">The value is not a number.</exception>
    public double? MinimumSqnr
    {
        get;
        init => field = value is null || double.IsFinite(value.Value)
            ? value
            : throw new ArgumentException($"MinimumSqnr is {value}, expected decibels such as 30, or null for no floor.", nameof(value));
    }

    /// <summary>Gets the share by which a candidate may be slower than the fastest and still win by its size.</summary>
    /// <value>0.03 by default, about what two runs of the same thing differ by; 1 admits twice the time, for size.</value>
    /// <exception cref="ArgumentException">The value is negative or no number.</exception>
    public double TieMargin
    {
        get;
        init => field = value >= 0 && double.IsFinite(value)
            ? value
            : throw new ArgumentException($"TieMargin is {value}, expected a share of at least 0; write 0.03 for 3 %.", nameof(value));
    } = 0.03;

    /// <summary>Gets how long each candidate of a problem is measured.</summary>
    /// <value>50 ms by default; more is calmer on a busy machine.</value>
    /// <exception cref="ArgumentException">The value is not positive.</exception>
    public TimeSpan MeasuringTime
    {
        get;
        init => field = value > TimeSpan.Zero
            ? value
            : throw new ArgumentException($"MeasuringTime is {value}, expected a positive time.", nameof(value));
    } = TimeSpan.FromMilliseconds(50);

    /// <summary>Gets the text file that keeps measurements from one run to the next.</summary>
    /// <value><see langword="null"/> (the default) keeps none.</value>
    public string? CachePath { get; init; }

    /// <summary>Gets a filter over layers: module name and module; layers for which it is false stay as they are.</summary>
    public Func<string, torch.nn.Module, bool>? Filter { get; init; }

    /// <summary>Gets whether layers that the example inputs never reached stay as they are; otherwise they are an error.</summary>
    /// <value><see langword="false"/> by default. The opposite of torchao's <c>error_on_unseen</c>.</value>
    public bool AllowUnseen { get; init; }

    /// <summary>Gets who is told of each layer as it is decided; the model changes after the last.</summary>
    public IProgress<AutoQuantLayer>? Progress { get; init; }

    /// <summary>Gets the token that stops the work between two measurements; the model is then as it was.</summary>
    public CancellationToken CancellationToken { get; init; }
}
