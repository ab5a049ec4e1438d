namespace TorchAO.Tests.Kernels.Cuda;

/// <summary>The shape of a <see cref="StepModel"/>.</summary>
internal sealed record StepSizes(int Hidden, int Inner, int Heads, int KeyValueHeads, int HeadSize, int Vocabulary)
{
    /// <summary>Gets whether queries and keys are normalized.</summary>
    public bool HasHeadNorm { get; init; }

    /// <summary>Gets whether products have biases.</summary>
    public bool HasBias { get; init; }

    /// <summary>Gets the numbers of all query heads.</summary>
    public int Queries => Heads * HeadSize;

    /// <summary>Gets those of all key heads.</summary>
    public int Keys => KeyValueHeads * HeadSize;
}
