namespace TorchAO.Numerics;

/// <summary>
/// Sixteen values at quantiles of a normal distribution scaled to [−1, 1]; Dettmers et al., "QLoRA", 2023, with the four
/// decimals that torchao keeps. Codes are ordered by value.
/// </summary>
public static class NormalFloat4
{
    /// <summary>Width of a code in bits.</summary>
    public const int Bits = 4;

    /// <summary>The code of zero, which NaN becomes too: a block of zeros divided by its own maximum is all NaN.</summary>
    public const byte Zero = 7;

    private static readonly float[] Table =
    [
        -1f, -0.6962f, -0.5251f, -0.3949f, -0.2844f, -0.1848f, -0.0911f, 0f,
        0.0796f, 0.1609f, 0.2461f, 0.3379f, 0.4407f, 0.5626f, 0.7230f, 1f,
    ];

    private static readonly float[] UpperBounds = CreateUpperBounds();

    /// <summary>The values of the codes 0 to 15, ascending.</summary>
    public static ReadOnlySpan<float> Values => Table;

    /// <summary>
    /// The code of the nearest value by binary32 distances, the lower code at a tie; beyond ±1 the outermost, for NaN
    /// <see cref="Zero"/>.
    /// </summary>
    public static byte Encode(float value)
    {
        if (float.IsNaN(value))
        {
            return Zero;
        }

        int code = 0;
        foreach (float bound in UpperBounds)
        {
            code += value > bound ? 1 : 0;
        }

        return (byte)code;
    }

    /// <summary>The value of a code. Bits above the fourth are ignored.</summary>
    public static float Decode(byte code) => Table[code & 15];

    /// <summary>Encodes each element.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    public static void Encode(ReadOnlySpan<float> source, Span<byte> destination)
    {
        MiniFloat.RequireRoom(source.Length, destination.Length);
        for (int i = 0; i < source.Length; i++)
        {
            destination[i] = Encode(source[i]);
        }
    }

    /// <summary>Decodes each code.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    public static void Decode(ReadOnlySpan<byte> source, Span<float> destination)
    {
        MiniFloat.RequireRoom(source.Length, destination.Length);
        for (int i = 0; i < source.Length; i++)
        {
            destination[i] = Table[source[i] & 15];
        }
    }

    // The largest binary32 that is still nearer to a value than to the next one: found from the midpoint in single steps,
    // because the distances themselves are rounded.
    private static float[] CreateUpperBounds()
    {
        float[] bounds = new float[Table.Length - 1];
        for (int i = 0; i < bounds.Length; i++)
        {
            float bound = (float)(((double)Table[i] + Table[i + 1]) / 2);
            while (!IsNearerToLower(bound, i))
            {
                bound = MathF.BitDecrement(bound);
            }

            while (IsNearerToLower(MathF.BitIncrement(bound), i))
            {
                bound = MathF.BitIncrement(bound);
            }

            bounds[i] = bound;
        }

        return bounds;
    }

    private static bool IsNearerToLower(float value, int code) => value - Table[code] <= Table[code + 1] - value;
}
