namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>Activation rows in parts of at most <see cref="GemvShape.MaxRows"/>. Owns the parts.</summary>
internal sealed class GemvActivationParts : IDisposable
{
    private GemvActivationParts(GemvActivations[] parts) => Parts = parts;

    /// <summary>Gets the parts.</summary>
    public GemvActivations[] Parts { get; }

    /// <summary>Makes the parts.</summary>
    /// <param name="shape">The function that they are for.</param>
    /// <param name="rows">Activation rows.</param>
    /// <param name="make">Makes a part of its function and its first row; <see langword="null"/> where that cannot be done.</param>
    /// <returns><see langword="null"/> where one of them cannot be made. The caller disposes it.</returns>
    public static GemvActivationParts? Create(GemvShape shape, int rows, Func<GemvShape, int, GemvActivations?> make)
    {
        var parts = new GemvActivations[(rows + GemvShape.MaxRows - 1) / GemvShape.MaxRows];
        for (int part = 0; part < parts.Length; part++)
        {
            int first = part * GemvShape.MaxRows;
            GemvActivations? made = make(shape with { Rows = Math.Min(GemvShape.MaxRows, rows - first) }, first);
            if (made is null)
            {
                new GemvActivationParts(parts[..part]).Dispose();
                return null;
            }

            parts[part] = made;
        }

        return new GemvActivationParts(parts);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (GemvActivations part in Parts)
        {
            part.Dispose();
        }
    }
}
