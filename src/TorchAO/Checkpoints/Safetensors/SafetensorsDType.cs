using static TorchSharp.torch;

namespace TorchAO.Checkpoints.Safetensors;

/// <summary>The dtypes of the safetensors format and the libtorch types that hold them.</summary>
internal static class SafetensorsDType
{
    private static readonly (string Name, ScalarType Type, int Bytes)[] Table =
    [
        ("BOOL", ScalarType.Bool, 1),
        ("U8", ScalarType.Byte, 1),
        ("I8", ScalarType.Int8, 1),
        ("F8_E5M2", (ScalarType)23, 1),
        ("F8_E4M3", (ScalarType)24, 1),
        ("F8_E8M0", (ScalarType)44, 1),
        ("I16", ScalarType.Int16, 2),
        ("U16", (ScalarType)27, 2),
        ("F16", ScalarType.Float16, 2),
        ("BF16", ScalarType.BFloat16, 2),
        ("I32", ScalarType.Int32, 4),
        ("U32", (ScalarType)28, 4),
        ("F32", ScalarType.Float32, 4),
        ("I64", ScalarType.Int64, 8),
        ("U64", (ScalarType)29, 8),
        ("F64", ScalarType.Float64, 8),
    ];

    // Defined by the format; below a byte an element has no address, and the others have no arithmetic in libtorch.
    private static readonly string[] Unsupported = ["F4", "F6_E2M3", "F6_E3M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"];

    /// <summary>Gets the names of all supported dtypes.</summary>
    public static IEnumerable<string> Names => Table.Select(row => row.Name);

    /// <summary>Tells whether the format defines this dtype and this reader does not hold it.</summary>
    public static bool IsUnsupported(string name) => Unsupported.Contains(name);

    /// <summary>Finds the libtorch type and the bytes of one element.</summary>
    public static bool TryFind(string name, out ScalarType type, out int bytes)
    {
        int row = Array.FindIndex(Table, candidate => candidate.Name == name);
        (type, bytes) = row < 0 ? default : (Table[row].Type, Table[row].Bytes);
        return row >= 0;
    }

    /// <summary>Finds the name that the format gives a libtorch type, or <see langword="null"/>.</summary>
    public static string? NameOf(ScalarType type) =>
        Table.Where(row => row.Type == type).Select(row => row.Name).FirstOrDefault();

    /// <summary>The libtorch type of a dtype that is known to be supported.</summary>
    public static ScalarType TypeOf(string name) =>
        TryFind(name, out ScalarType type, out _) ? type : throw new ArgumentOutOfRangeException(nameof(name), name, null);

    /// <summary>The bytes of one element of a dtype that is known to be supported.</summary>
    public static int BytesOf(string name) =>
        TryFind(name, out _, out int bytes) ? bytes : throw new ArgumentOutOfRangeException(nameof(name), name, null);
}
