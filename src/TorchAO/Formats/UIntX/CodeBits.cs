using TorchAO.Primitives;

namespace TorchAO.Formats.UIntX;

/// <summary>The bits of an integer type of codes.</summary>
internal static class CodeBits
{
    /// <summary>Gets the bits of uint1 to uint8 in its full range; <see langword="null"/> for any other type.</summary>
    public static int? OfUnsigned(QuantizedType? type) => Find(type, QuantizedType.Unsigned);

    /// <summary>Gets the bits of int1 to int8 in its full range; <see langword="null"/> for any other type.</summary>
    public static int? OfSigned(QuantizedType? type) => Find(type, QuantizedType.Signed);

    private static int? Find(QuantizedType? type, Func<int, QuantizedType> make)
    {
        for (int bits = 1; bits <= 8; bits++)
        {
            if (make(bits) == type)
            {
                return bits;
            }
        }

        return null;
    }
}
