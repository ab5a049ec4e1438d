namespace TorchAO.Formats.Int4.Kernels;

/// <summary>One row of an int4 weight in canonical storage.</summary>
/// <param name="codes">The codes, two a byte, low nibble first; ⌈K / 2⌉ bytes.</param>
/// <param name="scales">The scales, K / group of them.</param>
/// <param name="length">K.</param>
/// <param name="groupSize">Codes that share a scale.</param>
internal readonly unsafe ref struct Int4Row(byte* codes, float* scales, int length, int groupSize)
{
    public byte* Codes => codes;

    public float* Scales => scales;

    public int Length => length;

    public int GroupSize => groupSize;

    /// <summary>Copies the bytes from an offset to the row's end, and zeros behind them.</summary>
    public void CopyTail(int offset, Span<byte> destination)
    {
        destination.Clear();
        new ReadOnlySpan<byte>(codes + offset, ((length + 1) / 2) - offset).CopyTo(destination);
    }

    /// <summary>Writes the scale of each lane of eight codes from a lane on, and zeros behind the row's end.</summary>
    /// <remarks>A row with one scale applies it to the final sum; its lanes count as 1.</remarks>
    public void LaneScales(int firstLane, Span<float> destination)
    {
        bool isPerRow = groupSize == length;
        for (int i = 0; i < destination.Length; i++)
        {
            int k = (firstLane + i) * Int4Dot.LaneCodes;
            destination[i] = k >= length ? 0 : isPerRow ? 1 : scales[k / groupSize];
        }
    }
}
