namespace TorchAO.Kernels.Fused;

/// <summary>Checks at the door of the fused kernels, whose loops have none.</summary>
internal static class SpanLengths
{
    /// <summary>Demands a length.</summary>
    public static void Require(bool fits, string name, long length, long expected)
    {
        if (!fits)
        {
            throw new ArgumentException(
                $"{name} has {length} numbers, expected {expected}; the operands of one step belong to the same rows.", name);
        }
    }

    /// <summary>Demands whole rows.</summary>
    public static void RequireRows(int length, int row, string name)
    {
        if (row == 0 || length % row != 0)
        {
            throw new ArgumentException(
                $"{name} has {length} numbers, expected whole rows of {row}, and a row of at least one; check the shape of the layer.", name);
        }
    }
}
