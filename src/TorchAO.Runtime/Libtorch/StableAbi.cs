using System.Runtime.InteropServices;
using System.Text;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Values as the 64-bit cells of libtorch's stable interface.</summary>
/// <remarks>
/// A cell of a tensor, list or string owns it; a call consumes the cells of its arguments. A present optional is the address
/// of a cell on the C heap, which libtorch frees; absent is 0. Source: <c>torch/csrc/stable/stableivalue_conversions.h</c>.
/// </remarks>
internal static unsafe class StableAbi
{
    /// <summary>Gets whether a value can be passed as a type. Nothing is allocated.</summary>
    public static bool Fits(object? value, OperatorType type)
    {
        if (value is null)
        {
            return type.IsOptional;
        }

        if (!type.IsSupported)
        {
            return IsEmptyList(value, type);
        }

        return type.IsList
            ? value switch
            {
                Tensor?[] list => type.Name == "Tensor" && list.All(t => t is null ? type.HasOptionalElements : !t.IsInvalid),
                long[] => type.Name is "int" or "float",
                double[] => type.Name == "float",
                bool[] => type.Name == "bool",
                _ => false,
            }
            : value switch
            {
                Tensor tensor => type.Name == "Tensor" && !tensor.IsInvalid,
                long => type.Name is "int" or "float" or "Layout" or "MemoryFormat" or "ScalarType",
                double => type.Name == "float",
                bool => type.Name == "bool",
                string => type.Name == "str",
                ScalarType => type.Name is "ScalarType" or "int",
                Device => type.Name == "Device",
                _ => false,
            };
    }

    /// <summary>Gets whether a value is a list without elements, whose type then makes no difference.</summary>
    public static bool IsEmptyList(object? value, OperatorType type) => type.IsList && value is Array { Length: 0 };

    /// <summary>Makes the cell of a value that fits.</summary>
    public static ulong Encode(object? value, OperatorType type)
    {
        if (value is null)
        {
            return 0;
        }

        ulong cell = type.IsList ? EncodeList(value, type) : EncodeElement(value, type.Name);
        if (!type.IsOptional)
        {
            return cell;
        }

        ulong* present = (ulong*)NativeMemory.Alloc(sizeof(ulong));
        *present = cell;
        return (ulong)present;
    }

    /// <summary>Takes the value out of a result's cell: a tensor, a list of tensors, an integer, a number or a truth value.</summary>
    public static object Decode(ulong cell, OperatorType type) => (type.Name, type.IsList) switch
    {
        ("Tensor", false) => Tensor.UnsafeCreateTensor((nint)cell),
        ("Tensor", true) => DecodeTensors((nint)cell),
        ("float", false) => BitConverter.UInt64BitsToDouble(cell),
        ("bool", false) => (cell & 0xff) != 0,
        _ => (long)cell,
    };

    /// <summary>Reads a string handle, which stays the caller's.</summary>
    public static string ReadString(nint handle)
    {
        byte* text;
        nuint length;
        LibtorchExports.Check(LibtorchExports.StringText(handle, &text), "torch_string_c_str");
        LibtorchExports.Check(LibtorchExports.StringLength(handle, &length), "torch_string_length");
        return Encoding.UTF8.GetString(text, checked((int)length));
    }

    private static ulong EncodeElement(object value, string type) => value switch
    {
        Tensor tensor => (ulong)LibtorchExports.Share(tensor),
        long integer => type == "float" ? BitConverter.DoubleToUInt64Bits(integer) : (ulong)integer,
        double number => BitConverter.DoubleToUInt64Bits(number),
        bool truth => truth ? 1ul : 0ul,
        ScalarType scalarType => (ulong)(sbyte)scalarType,
        Device device => ((ulong)(uint)device.type << 32) | (uint)device.index,
        string text => NewString(text),
        _ => throw new ArgumentException($"{value.GetType()} has no cell."),
    };

    private static ulong EncodeList(object value, OperatorType type)
    {
        var elements = (Array)value;
        nint list;
        LibtorchExports.Check(LibtorchExports.NewList((nuint)elements.Length, &list), "torch_new_list_reserve_size");
        OperatorType element = new(type.Name, IsList: false, IsOptional: type.HasOptionalElements, HasOptionalElements: false);
        foreach (object? item in elements)
        {
            LibtorchExports.Check(LibtorchExports.PushBack(list, Encode(item, element)), "torch_list_push_back");
        }

        return (ulong)list;
    }

    private static ulong NewString(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text + '\0');
        nint handle;
        fixed (byte* address = bytes)
        {
            LibtorchExports.Check(
                LibtorchExports.NewString(address, (nuint)bytes.Length - 1, &handle), "torch_new_string_handle");
        }

        return (ulong)handle;
    }

    private static Tensor[] DecodeTensors(nint list)
    {
        nuint count;
        LibtorchExports.Check(LibtorchExports.ListSize(list, &count), "torch_list_size");
        var tensors = new Tensor[count];
        for (nuint i = 0; i < count; i++)
        {
            ulong cell;
            LibtorchExports.Check(LibtorchExports.ListItem(list, i, &cell), "torch_list_get_item");
            tensors[i] = Tensor.UnsafeCreateTensor((nint)cell);
        }

        LibtorchExports.Check(LibtorchExports.DeleteList(list), "torch_delete_list");
        return tensors;
    }
}
