namespace TorchAO.Numerics.BitPacking;

/// <summary>Checks shared by the unpackers.</summary>
internal static class PackedSource
{
    /// <summary>Refuses a source that ends before the codes asked for.</summary>
    public static void Require(int needed, int got)
    {
        if (got < needed)
        {
            throw new ArgumentException($"The packed source has {got} bytes; the codes asked for take {needed}.");
        }
    }

    /// <summary>Refuses a width of codes outside the range.</summary>
    public static void RequireBits(int bits, int most)
    {
        if (bits < 1 || bits > most)
        {
            throw new ArgumentOutOfRangeException(nameof(bits), bits, $"Codes are 1 to {most} bits wide.");
        }
    }
}
