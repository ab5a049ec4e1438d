namespace TorchAO.Checkpoints;

/// <summary>What a quantized checkpoint holds, read from its header alone.</summary>
/// <param name="Path">The file.</param>
/// <param name="SchemaVersion">The version of the description.</param>
/// <param name="LibraryVersion">The version of the library that wrote it.</param>
/// <param name="Weights">The quantized weights by name.</param>
/// <param name="Others">All other parameters and buffers.</param>
/// <param name="Tied">Names whose tensor stands under another name, with that name.</param>
/// <param name="HasProbe">Whether loading runs a stored input and compares the output.</param>
/// <param name="Bytes">The bytes of all weights, parameters and buffers.</param>
public sealed record CheckpointDescription(
    string Path,
    int SchemaVersion,
    string LibraryVersion,
    IReadOnlyList<QuantizedWeightInfo> Weights,
    IReadOnlyList<TensorInfo> Others,
    IReadOnlyDictionary<string, string> Tied,
    bool HasProbe,
    long Bytes);
