namespace TorchAO.Kernels.Fused;

/// <summary>Greatest and least numbers of a row, as rounded to the model's type; NaN where one is NaN, as libtorch's reductions.</summary>
internal static unsafe class RowRange
{
    /// <summary>Gets the greatest magnitude.</summary>
    public static float Greatest(float* row, int length, StoredRows rows)
    {
        (float low, float high) = Ends(row, length, rows);
        return MathF.Max(MathF.Abs(low), MathF.Abs(high));
    }

    /// <summary>Gets the least and the greatest number. Rounding keeps their order, so that only these two are rounded.</summary>
    public static (float Low, float High) Ends(float* row, int length, StoredRows rows)
    {
        (float low, float high) = (float.PositiveInfinity, float.NegativeInfinity);
        for (int i = 0; i < length; i++)
        {
            low = MathF.Min(low, row[i]);
            high = MathF.Max(high, row[i]);
        }

        return (rows.Round(low), rows.Round(high));
    }
}
