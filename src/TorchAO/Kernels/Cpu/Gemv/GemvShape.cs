namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>What distinguishes one function for a few activation rows from another: all that is fixed while it runs.</summary>
/// <remarks>
/// A unit is 64 bytes of a weight row: sixteen 32-bit lanes of <see cref="Vectors"/> · 4 codes each. Codes lie in a byte from the low
/// bits on. A block is some units whose activations share a step; it lies in one group of the weight, or is a unit of several groups.
/// </remarks>
/// <param name="Bits">Bits of a code: 8 (signed, made unsigned by adding 128) or 4 (unsigned).</param>
/// <param name="Planes">Bytes of an activation: 3 for fixed point, 1 for codes.</param>
/// <param name="Rows">Activation rows.</param>
/// <param name="WeightRows">Weight rows that pass by together, 1, 2 or 4; their count is a multiple of it.</param>
/// <param name="BlockUnits">Units of a block.</param>
/// <param name="GroupsPerUnit">Groups of a unit, 2 or 4; 1 where groups are whole blocks.</param>
/// <param name="HasZeros">Whether groups have zero points.</param>
internal readonly record struct GemvShape(int Bits, int Planes, int Rows, int WeightRows, int BlockUnits, int GroupsPerUnit, bool HasZeros)
{
    /// <summary>Bytes of a unit.</summary>
    public const int UnitBytes = 64;

    /// <summary>32-bit lanes of a unit.</summary>
    public const int Lanes = 16;

    /// <summary>Activation rows that share one pass over a weight row at most; more of 8-bit codes do not fit the registers.</summary>
    public const int MaxRows = 4;

    // 512 codes: sums of products, shifted by a digit, fit 32 bits.
    private const int MaxBlockUnits = 8;

    // The others of 32 hold constants.
    private const int Registers = 28;

    /// <summary>Gets how many weight rows pass by together where there are enough: as many as the registers have room for, because
    /// activations, which come from the second-level cache, are then loaded once for all of them.</summary>
    public int WeightRowsTogether => IsRoomFor(4) ? 4 : IsRoomFor(2) ? 2 : 1;

    /// <summary>Gets the vectors of 64 codes that a unit unpacks into.</summary>
    public int Vectors => 8 / Bits;

    /// <summary>Gets the codes of a unit.</summary>
    public int UnitCodes => UnitBytes * Vectors;

    /// <summary>Gets the codes of a block.</summary>
    public int BlockCodes => BlockUnits * UnitCodes;

    /// <summary>Gets the bytes of activations that a unit meets.</summary>
    public int UnitActivations => Rows * Planes * Vectors * UnitBytes;

    /// <summary>Gets the vectors of sums that a block of an activation row begins with.</summary>
    public int InitialVectors => Bits == 8 ? Planes : 1;

    // Sums and totals of each pair of rows, and the codes.
    private bool IsRoomFor(int weightRows) =>
        (weightRows * Rows * (InitialVectors + 1)) + (weightRows * Vectors) <= Registers;

    /// <summary>Finds the units of a block and the groups of a unit.</summary>
    /// <param name="bits">Bits of a code.</param>
    /// <param name="inFeatures">K.</param>
    /// <param name="groupSize">Codes of a group.</param>
    /// <returns>(0, 0) where blocks cannot be laid over such groups.</returns>
    public static (int BlockUnits, int GroupsPerUnit) Cut(int bits, long inFeatures, long groupSize)
    {
        int unit = UnitBytes * 8 / bits;
        int most = bits == 8 ? MaxBlockUnits : 1; // narrower codes leave room to shift in place, unit by unit
        if (groupSize == inFeatures)
        {
            return (WholeBlocks(inFeatures / unit, most), 1);
        }

        if (groupSize % unit == 0)
        {
            long units = groupSize / unit;
            int block = most;
            while (units % block != 0)
            {
                block--;
            }

            return (block, 1);
        }

        return unit % groupSize == 0 && unit / groupSize is 2 or 4 ? (1, (int)(unit / groupSize)) : (0, 0);
    }

    // Blocks that fill a row, unless they would have to be short: what goes with a block costs as much as some units.
    private static int WholeBlocks(long units, int most)
    {
        for (int block = most; block > most / 2; block--)
        {
            if (units % block == 0)
            {
                return block;
            }
        }

        return most;
    }
}
