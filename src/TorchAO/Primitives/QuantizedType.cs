using System.Globalization;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>A range of codes and the element type that holds them unpacked, one code an element.</summary>
/// <remarks>
/// Types below one byte have no storage of their own: signed codes lie in int8 and unsigned codes in uint8. A range
/// narrower than the type comes from <see cref="Within"/>; another holder comes from asking the wider type, such as
/// <c>QuantizedType.Int32.Within(0, 15)</c>.
/// </remarks>
public sealed record QuantizedType
{
    private QuantizedType(string name, ScalarType storage, double min, double max)
    {
        Name = name;
        Storage = storage;
        Min = min;
        Max = max;
    }

    /// <summary>Signed 8-bit integers, −128…127.</summary>
    public static QuantizedType Int8 { get; } = Signed(8);

    /// <summary>Unsigned 8-bit integers, 0…255.</summary>
    public static QuantizedType UInt8 { get; } = Unsigned(8);

    /// <summary>Signed 4-bit integers, −8…7, held in int8.</summary>
    public static QuantizedType Int4 { get; } = Signed(4);

    /// <summary>Unsigned 4-bit integers, 0…15, held in uint8.</summary>
    public static QuantizedType UInt4 { get; } = Unsigned(4);

    /// <summary>Signed 16-bit integers.</summary>
    public static QuantizedType Int16 { get; } = new("int16", ScalarType.Int16, short.MinValue, short.MaxValue);

    /// <summary>Signed 32-bit integers.</summary>
    public static QuantizedType Int32 { get; } = new("int32", ScalarType.Int32, int.MinValue, int.MaxValue);

    /// <summary>float8 with 4 exponent and 3 fraction bits, ±448.</summary>
    public static QuantizedType Float8E4M3 { get; } = new("float8_e4m3fn", ScalarTypes.Float8E4M3, -448, 448);

    /// <summary>float8 with 5 exponent and 2 fraction bits, ±57344.</summary>
    public static QuantizedType Float8E5M2 { get; } = new("float8_e5m2", ScalarTypes.Float8E5M2, -57344, 57344);

    /// <summary>Gets the name as torchao writes it, such as <c>uint4</c>.</summary>
    public string Name { get; }

    /// <summary>Gets the element type of a tensor of unpacked codes.</summary>
    public ScalarType Storage { get; }

    /// <summary>Gets the smallest code.</summary>
    public double Min { get; private init; }

    /// <summary>Gets the largest code.</summary>
    public double Max { get; private init; }

    /// <summary>Gets whether the codes are floating-point numbers.</summary>
    public bool IsFloat => ScalarTypes.IsFloat(Storage);

    /// <summary>Gets the code whose value is the zero point of the floating-point domain: <c>(min + max + 1) / 2</c>.</summary>
    public double Middle => (Max + Min + 1) / 2;

    /// <summary>Makes the signed integer type of some bits, held in int8.</summary>
    /// <param name="bits">1 to 8.</param>
    /// <exception cref="QuantizationException">No byte holds that many bits.</exception>
    public static QuantizedType Signed(int bits)
    {
        CheckBits(bits);
        int half = 1 << (bits - 1);
        return new QuantizedType($"int{bits}", ScalarType.Int8, -half, half - 1);
    }

    /// <summary>Makes the unsigned integer type of some bits, held in uint8.</summary>
    /// <param name="bits">1 to 8.</param>
    /// <exception cref="QuantizationException">No byte holds that many bits.</exception>
    public static QuantizedType Unsigned(int bits)
    {
        CheckBits(bits);
        return new QuantizedType($"uint{bits}", ScalarType.Byte, 0, (1 << bits) - 1);
    }

    /// <summary>Finds the widest range that an element type holds.</summary>
    /// <exception cref="QuantizationException">Codes cannot be of this type (64-bit integers, wide floats, booleans).
    /// </exception>
    public static QuantizedType Of(ScalarType storage) => storage switch
    {
        ScalarType.Int8 => Int8,
        ScalarType.Byte => UInt8,
        ScalarType.Int16 => Int16,
        ScalarType.Int32 => Int32,
        ScalarTypes.Float8E4M3 => Float8E4M3,
        ScalarTypes.Float8E5M2 => Float8E5M2,
        _ => throw new QuantizationException(
            $"Codes of type {ScalarTypes.NameOf(storage)} are not supported: expected int8, uint8, int16, int32 or a " +
            "float8 type. Choose the narrowest that holds your codes."),
    };

    /// <summary>Finds a type by the name that torchao gives it, such as <c>uint4</c> or <c>float8_e4m3fn</c>.</summary>
    /// <exception cref="QuantizationException">There is no such type.</exception>
    public static QuantizedType Named(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        QuantizedType[] wide = [Int16, Int32, Float8E4M3, Float8E5M2];
        if (wide.FirstOrDefault(type => type.Name == name) is QuantizedType found)
        {
            return found;
        }

        bool unsigned = name.StartsWith("uint", StringComparison.Ordinal);
        bool integer = unsigned || name.StartsWith("int", StringComparison.Ordinal);
        string digits = name[(unsigned ? 4 : Math.Min(3, name.Length))..];
        return integer && int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int bits) && bits is > 0 and <= 8
            ? unsigned ? Unsigned(bits) : Signed(bits)
            : throw new QuantizationException(
                $"Codes of type '{name}' are not supported: expected int1 to int8, uint1 to uint8, int16, int32, " +
                "float8_e4m3fn or float8_e5m2.");
    }

    /// <summary>Narrows the range of codes, keeping the element type that holds them.</summary>
    /// <param name="min">The smallest code wanted; <see langword="null"/> keeps this type's.</param>
    /// <param name="max">The largest code wanted; <see langword="null"/> keeps this type's.</param>
    /// <exception cref="QuantizationException">The range does not lie in this type's, or is empty.</exception>
    public QuantizedType Within(double? min, double? max)
    {
        double from = min ?? Min;
        double to = max ?? Max;
        return from >= Min && to <= Max && from < to
            ? this with { Min = from, Max = to }
            : throw new QuantizationException(
                $"The range {from}…{to} does not fit codes of type {Name}: expected a range within {Min}…{Max} whose " +
                "first number is the smaller. Narrow it or choose a wider type.");
    }

    private static void CheckBits(int bits)
    {
        if (bits is < 1 or > 8)
        {
            throw new QuantizationException($"Codes of {bits} bits are not supported: expected 1 to 8 bits.");
        }
    }
}
