using static TorchSharp.torch;

namespace TorchAO.Checkpoints;

/// <summary>What a checkpoint says of one tensor.</summary>
/// <param name="Name">The name, unique in the checkpoint.</param>
/// <param name="DType">The type of its elements.</param>
/// <param name="Shape">The dimensions; empty for a scalar.</param>
public sealed record TensorInfo(string Name, ScalarType DType, IReadOnlyList<long> Shape)
{
    /// <summary>Gets the count of elements.</summary>
    public long Elements => Shape.Aggregate(1L, (product, dimension) => product * dimension);

    /// <summary>Describes the tensor as <c>name: Float32 [2, 3]</c>.</summary>
    public override string ToString() => $"{Name}: {DType} [{string.Join(", ", Shape)}]";
}
