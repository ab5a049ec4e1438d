namespace TorchAO.Kernels.Cuda;

/// <summary>How the work of a product is cut.</summary>
/// <param name="Warps">Warps of a block, which divide K.</param>
/// <param name="Stages">Chunks of a warp that are on their way at once.</param>
/// <param name="Tiles">Tiles of 16 weight rows that a block computes together.</param>
/// <param name="RowBytes">Bytes of a row in a chunk.</param>
/// <param name="BlocksPerMultiprocessor">Blocks that a multiprocessor runs at once, at most.</param>
internal readonly record struct GemvBlocking(int Warps, int Stages, int Tiles, int RowBytes, int BlocksPerMultiprocessor)
{
    // Measured on an H200 over the linear layers of Llama-2-7B, one activation row. Wide codes want many bytes on their way and one
    // fill of the activations; 4-bit codes want few warps a tile, since each of them is done with a row soon.
    private const int LongRow = 8192;
    private const int ManyRows = 8192;

    /// <summary>Chooses for a product.</summary>
    public static GemvBlocking Choose(CudaCode code, int outFeatures, int inFeatures, int rows) => code switch
    {
        _ when rows > 1 => new(8, 2, 1, 128, 2),
        CudaCode.Half => new(16, 4, 1, 128, 1),
        CudaCode.Int4 when inFeatures >= LongRow => new(8, 3, 1, 128, 2),
        CudaCode.Int4 when outFeatures >= ManyRows => new(4, 3, 1, 256, 3),
        CudaCode.Int4 => new(8, 2, 1, 256, 2),
        _ when inFeatures >= LongRow => new(16, 2, 1, 128, 2),
        _ when outFeatures >= 2 * ManyRows => new(8, 2, 1, 256, 2),
        _ when outFeatures >= ManyRows => new(8, 2, 1, 128, 3),
        _ => new(8, 3, 1, 128, 2),
    };
}
