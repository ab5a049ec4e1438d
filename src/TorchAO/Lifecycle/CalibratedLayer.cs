namespace TorchAO.Lifecycle;

/// <summary>What a calibration saw at the input of one layer.</summary>
/// <param name="Name">The module's name; the root has the name <c>(root)</c>.</param>
/// <param name="Min">The smallest input, finite.</param>
/// <param name="Max">The largest input, finite.</param>
/// <param name="Calls">How often the layer ran on at least one token.</param>
/// <param name="Tokens">M, the rows of activations over all calls.</param>
public sealed record CalibratedLayer(string Name, float Min, float Max, long Calls, long Tokens);
