using static TorchSharp.torch;

namespace TorchAO.Tensors;

/// <summary>One named piece of a quantized tensor, as it stands on disk: <c>qdata</c>, <c>scale</c>, <c>zero_point</c>.</summary>
/// <param name="Name">The name on disk; torchao's own where it has one.</param>
/// <param name="Value">The tensor; owned by the quantized tensor.</param>
/// <param name="IsShared">Whether all rows of the weight have it in common; otherwise its first dimension counts them.</param>
public readonly record struct TensorComponent(string Name, Tensor Value, bool IsShared = false);
