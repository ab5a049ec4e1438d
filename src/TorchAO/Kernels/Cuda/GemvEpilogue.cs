namespace TorchAO.Kernels.Cuda;

/// <summary>What becomes of the sums of a product.</summary>
public enum GemvEpilogue
{
    /// <summary>They are stored, those of several weights side by side.</summary>
    Store = 0,

    /// <summary>They are added to what is there: a residual stream.</summary>
    Add = 1,

    /// <summary>Of two weights, <c>silu(first) · second</c> is stored (Shazeer 2020, arXiv:2002.05202).</summary>
    Gate = 2,
}
