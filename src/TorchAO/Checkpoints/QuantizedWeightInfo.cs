using static TorchSharp.torch;

namespace TorchAO.Checkpoints;

/// <summary>What a checkpoint says of one quantized weight.</summary>
/// <param name="Name">The weight's name: <c>model.layers.0.mlp.up_proj.weight</c>.</param>
/// <param name="Format">The catalogue name of its format.</param>
/// <param name="Shape">The logical shape, <c>[out_features, in_features]</c>.</param>
/// <param name="DType">The floating-point type of the weight that was quantized.</param>
/// <param name="Parameters">The format's parameters as JSON, such as <c>{"group_size":32}</c>.</param>
/// <param name="Activation">How the layer rounds activations, in words; <see langword="null"/> where they stay in floating point.</param>
/// <param name="Config">The config that made it as JSON, for information; <see langword="null"/> where unknown.</param>
/// <param name="Components">Its pieces as they stand in the file.</param>
/// <param name="Bytes">The bytes of all pieces.</param>
public sealed record QuantizedWeightInfo(
    string Name,
    string Format,
    IReadOnlyList<long> Shape,
    ScalarType DType,
    string Parameters,
    string? Activation,
    string? Config,
    IReadOnlyList<TensorInfo> Components,
    long Bytes);
