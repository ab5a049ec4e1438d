using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>A quantized tensor as a checkpoint holds it, before its format has looked at it.</summary>
/// <param name="Name">The tensor's name in the model, for messages: <c>model.layers.0.mlp.up_proj.weight</c>.</param>
/// <param name="Shape">The logical shape.</param>
/// <param name="DType">The floating-point type of the weight that was quantized.</param>
/// <param name="Parameters">The format's parameters that are not tensors.</param>
/// <param name="Components">The pieces by name.</param>
public sealed record StoredTensor(
    string Name,
    IReadOnlyList<long> Shape,
    ScalarType DType,
    JsonObject Parameters,
    IReadOnlyDictionary<string, Tensor> Components);
