using System.Collections.Frozen;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Names the element types that TorchSharp's enum lacks, and knows the numbers of every type we store.</summary>
/// <remarks>
/// The codes are libtorch's own (<c>c10/core/ScalarType.h</c>); TorchSharp hands them through unchanged. Casts to
/// float8 round to nearest even and do not saturate: values beyond <see cref="ScalarTypeInfo.Largest"/> become NaN or
/// infinity, so clamp first.
/// </remarks>
public static class ScalarTypes
{
    /// <summary>float8 with 5 exponent and 2 fraction bits, infinities included (<c>torch.float8_e5m2</c>).</summary>
    public const ScalarType Float8E5M2 = (ScalarType)23;

    /// <summary>float8 with 4 exponent and 3 fraction bits, no infinity (<c>torch.float8_e4m3fn</c>).</summary>
    public const ScalarType Float8E4M3 = (ScalarType)24;

    /// <summary>Unsigned 16-bit integer (<c>torch.uint16</c>): storage only, few operators know it.</summary>
    public const ScalarType UInt16 = (ScalarType)27;

    /// <summary>Unsigned 32-bit integer (<c>torch.uint32</c>): storage only, few operators know it.</summary>
    public const ScalarType UInt32 = (ScalarType)28;

    /// <summary>Unsigned 64-bit integer (<c>torch.uint64</c>): storage only, few operators know it.</summary>
    public const ScalarType UInt64 = (ScalarType)29;

    /// <summary>A power of two from 2^-127 to 2^127 in a byte (<c>torch.float8_e8m0fnu</c>): the scales of MX formats.</summary>
    public const ScalarType Float8E8M0 = (ScalarType)44;

    private static readonly ScalarTypeInfo[] Table =
    [
        new(ScalarType.Float64, "F64", 8, IsFloat: true, double.MaxValue, 2.2204460492503131e-16),
        new(ScalarType.Float32, "F32", 4, IsFloat: true, float.MaxValue, 1.1920928955078125e-7),
        new(ScalarType.Float16, "F16", 2, IsFloat: true, 65504, 1.0 / 1024),
        new(ScalarType.BFloat16, "BF16", 2, IsFloat: true, 3.3895313892515355e38, 1.0 / 128),
        new(Float8E4M3, "F8_E4M3", 1, IsFloat: true, 448, 1.0 / 8),
        new(Float8E5M2, "F8_E5M2", 1, IsFloat: true, 57344, 1.0 / 4),
        new(Float8E8M0, "F8_E8M0", 1, IsFloat: true, 1.7014118346046923e38, 1),
        new(ScalarType.Int64, "I64", 8, IsFloat: false, long.MaxValue, 1),
        new(ScalarType.Int32, "I32", 4, IsFloat: false, int.MaxValue, 1),
        new(ScalarType.Int16, "I16", 2, IsFloat: false, short.MaxValue, 1),
        new(ScalarType.Int8, "I8", 1, IsFloat: false, sbyte.MaxValue, 1),
        new(UInt64, "U64", 8, IsFloat: false, ulong.MaxValue, 1),
        new(UInt32, "U32", 4, IsFloat: false, uint.MaxValue, 1),
        new(UInt16, "U16", 2, IsFloat: false, ushort.MaxValue, 1),
        new(ScalarType.Byte, "U8", 1, IsFloat: false, byte.MaxValue, 1),
        new(ScalarType.Bool, "BOOL", 1, IsFloat: false, 1, 1),
    ];

    private static readonly FrozenDictionary<ScalarType, ScalarTypeInfo> ByType = Table.ToFrozenDictionary(i => i.Type);
    private static readonly FrozenDictionary<string, ScalarTypeInfo> ByName = Table.ToFrozenDictionary(i => i.Name);

    /// <summary>Gets every type of the table, widest floating-point type first.</summary>
    public static IReadOnlyList<ScalarTypeInfo> All { get; } = Table.AsReadOnly();

    /// <summary>Looks a type up.</summary>
    /// <exception cref="ArgumentException">The type is complex, quantized or not in the table.</exception>
    public static ScalarTypeInfo Of(ScalarType type) => ByType.TryGetValue(type, out ScalarTypeInfo? info)
        ? info
        : throw new ArgumentException($"Element type {NameOf(type)} is not among {Names()}.", nameof(type));

    /// <summary>Looks a type up by the name that safetensors headers use, such as <c>BF16</c>.</summary>
    /// <returns>The type, or <see langword="null"/> where no type has this name; names are case-sensitive.</returns>
    public static ScalarTypeInfo? Named(string name) => ByName.GetValueOrDefault(name);

    /// <summary>Gets a name for messages: the safetensors name, or TorchSharp's where the table has none.</summary>
    public static string NameOf(ScalarType type) =>
        ByType.TryGetValue(type, out ScalarTypeInfo? info) ? info.Name : type.ToString();

    /// <summary>Gets whether a type is real floating point, float8 included; TorchSharp denies it for float8.</summary>
    public static bool IsFloat(ScalarType type) => ByType.TryGetValue(type, out ScalarTypeInfo? info) && info.IsFloat;

    private static string Names() => string.Join(", ", Table.Select(info => info.Name));
}
