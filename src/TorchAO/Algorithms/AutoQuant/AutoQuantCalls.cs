namespace TorchAO.Algorithms.AutoQuant;

/// <summary>How often a layer was called with a count of rows.</summary>
/// <param name="Rows">M, all dimensions of the activations but the last.</param>
/// <param name="Count">The count of calls.</param>
public readonly record struct AutoQuantCalls(long Rows, long Count);
