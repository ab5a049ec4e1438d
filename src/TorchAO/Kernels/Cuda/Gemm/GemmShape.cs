namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>How a product is cut into blocks of the kernels for Hopper.</summary>
/// <param name="Tokens">Activation rows of a tile.</param>
/// <param name="Splits">Blocks that share a tile and split K between them.</param>
internal readonly record struct GemmShape(int Tokens, int Splits)
{
    /// <summary>Weight rows of a tile.</summary>
    public const int TileRows = 128;

    private const int MaxSplits = 8;

    // A cluster's launch, and what each token of a tile costs for each block beyond two, whose sums are read one after the other;
    // in microseconds.
    private const double ClusterCost = 1, TokenCost = 0.02;

    // Microseconds of a multiprocessor for the end of a tile, by tokens; measured on an H200, as the costs of steps are.
    private static readonly (int Tokens, double End)[] Tiles = [(32, 1), (64, 1.5), (128, 3), (256, 6)];

    /// <summary>Chooses the shape that a model of the measured costs finds fastest.</summary>
    /// <param name="rows">M, activation rows.</param>
    /// <param name="outFeatures">N.</param>
    /// <param name="steps">Steps of the kernel over K.</param>
    /// <param name="stepCosts">Microseconds of a multiprocessor for a step, for tiles of 32, 64, 128 and 256 tokens.</param>
    /// <param name="processors">Multiprocessors of the device.</param>
    public static GemmShape Choose(long rows, long outFeatures, long steps, ReadOnlySpan<double> stepCosts, int processors)
    {
        GemmShape best = default;
        double least = double.PositiveInfinity;
        for (int i = 0; i < Tiles.Length; i++)
        {
            (int tokens, double end) = Tiles[i];
            long tiles = Ceiling(outFeatures, TileRows) * Ceiling(rows, tokens);
            for (int splits = 1; splits <= MaxSplits && splits <= steps; splits *= 2)
            {
                double block = (Ceiling(steps, splits) * stepCosts[i]) + end;
                double cost = (Ceiling(tiles * splits, processors) * block) + (splits > 1 ? ClusterCost + (TokenCost * tokens * (splits - 2)) : 0);
                if (cost < least)
                {
                    (best, least) = (new GemmShape(tokens, splits), cost);
                }
            }
        }

        return best;
    }

    private static long Ceiling(long value, long unit) => (value + unit - 1) / unit;
}
