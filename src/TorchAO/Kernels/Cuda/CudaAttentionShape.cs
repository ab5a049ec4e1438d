namespace TorchAO.Kernels.Cuda;

/// <summary>The sizes and constants of attention that all layers of a model share.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key and value heads, a divisor of the query heads.</param>
/// <param name="HeadSize">Numbers of a head.</param>
/// <param name="Window">Keys that a query sees at most; <see langword="null"/> for all.</param>
/// <param name="Epsilon">Of the norms of queries and keys.</param>
public readonly record struct CudaAttentionShape(int Heads, int KeyValueHeads, int HeadSize, int? Window, double Epsilon)
{
    private const int MostSharers = 8;
    private const int LargestHead = 256;

    /// <summary>Says why the kernel cannot take these sizes, or <see langword="null"/> if it can.</summary>
    public string? ReasonToRefuse() => this switch
    {
        _ when HeadSize % 8 != 0 || HeadSize > LargestHead => $"heads of {HeadSize} numbers, expected a multiple of 8 up to {LargestHead}",
        _ when Heads % KeyValueHeads != 0 || Heads / KeyValueHeads > MostSharers =>
            $"{Heads} query heads over {KeyValueHeads}, expected up to {MostSharers} for each",
        _ => null,
    };
}
