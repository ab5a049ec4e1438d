namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>How the K input features of a product are cut into blocks, each with one scale a weight row and one an activation row.</summary>
/// <remarks>
/// A block is a group of the weight or a part of one: at most <see cref="MaxLength"/> codes, so that its sum of byte products fits
/// 32 bits and the activations of a block, which share an exponent, are few. Lengths are multiples of <see cref="Step"/>; the last
/// block of a row may be shorter, and is filled up with zeros.
/// </remarks>
internal readonly record struct PanelBlocks
{
    /// <summary>Codes that a step of the inner loop takes: two sums of four.</summary>
    public const int Step = 8;

    private const int MaxLength = 512;

    /// <summary>Cuts rows of a weight.</summary>
    /// <param name="inFeatures">K.</param>
    /// <param name="groupSize">Codes of a group, which divides K; a multiple of <see cref="Step"/> or K itself.</param>
    public PanelBlocks(int inFeatures, int groupSize)
    {
        InFeatures = inFeatures;
        GroupSize = groupSize;
        Length = groupSize == inFeatures ? Math.Min(MaxLength, Filled(inFeatures)) : LargestDivisor(groupSize);
        Count = (inFeatures + Length - 1) / Length;
    }

    /// <summary>Gets K.</summary>
    public int InFeatures { get; }

    /// <summary>Gets the codes of a group.</summary>
    public int GroupSize { get; }

    /// <summary>Gets the codes of a block, but perhaps the last.</summary>
    public int Length { get; }

    /// <summary>Gets the blocks of a row.</summary>
    public int Count { get; }

    /// <summary>Gets the codes of a row with the zeros behind the last.</summary>
    public int PaddedLength => ((Count - 1) * Length) + Filled(InFeatures - ((Count - 1) * Length));

    /// <summary>Tells whether rows with groups of a size can be cut.</summary>
    public static bool CanCut(long inFeatures, long groupSize) => groupSize == inFeatures || groupSize % Step == 0;

    /// <summary>Gets the group of a block.</summary>
    public int GroupOf(int block) => (int)((long)block * Length / GroupSize);

    /// <summary>Gets the codes of a block without the zeros behind it.</summary>
    public int LengthOf(int block) => Math.Min(Length, InFeatures - (block * Length));

    /// <summary>Gets the sums of four codes that a block takes, zeros included.</summary>
    public int QuadsOf(int block) => Filled(LengthOf(block)) / 4;

    private static int Filled(int length) => (length + Step - 1) / Step * Step;

    private static int LargestDivisor(int groupSize)
    {
        int length = Math.Min(MaxLength, groupSize) / Step * Step;
        while (groupSize % length != 0)
        {
            length -= Step;
        }

        return length;
    }
}
