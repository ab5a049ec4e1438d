using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Reads the schemas of registered operators out of libtorch.</summary>
/// <remarks>
/// The stable interface cannot tell whether an operator exists, let alone what it takes, and a wrong call corrupts memory.
/// Three C++ functions can: <c>Dispatcher::realSingleton</c>, <c>Dispatcher::findSchema</c> and
/// <c>OperatorEntry::dumpState</c>, whose text begins with the schema. They are called by their symbols of the Itanium C++
/// interface and rest on two layouts: libstdc++'s <c>std::string</c> (pointer, length, sixteen bytes) and
/// <c>OperatorHandle</c>, which begins with a pointer to an entry. The text is checked to name the operator asked for.
/// </remarks>
internal static unsafe class DispatcherSchemas
{
    private static readonly delegate* unmanaged<nint> Singleton =
        (delegate* unmanaged<nint>)LibtorchExports.Optional("_ZN3c1010Dispatcher13realSingletonEv");

    // Results of class type are written to the address in the first argument.
    private static readonly delegate* unmanaged<Found*, nint, Name*, void*> FindSchema =
        (delegate* unmanaged<Found*, nint, Name*, void*>)LibtorchExports.Optional(
            "_ZN3c1010Dispatcher10findSchemaERKNS_12OperatorNameE");
    private static readonly delegate* unmanaged<nint, nint, void*> DumpState =
        (delegate* unmanaged<nint, nint, void*>)LibtorchExports.Optional("_ZNK3c104impl13OperatorEntry9dumpStateB5cxx11Ev");

    private static bool IsSupported => OperatingSystem.IsLinux()
        && RuntimeInformation.ProcessArchitecture == Architecture.X64
        && Singleton != null && FindSchema != null && DumpState != null;

    /// <summary>Gets the schema's text, or <see langword="null"/> where no such operator is registered.</summary>
    /// <exception cref="PlatformNotSupportedException">This libtorch cannot be asked.</exception>
    public static string? Find(string name, string overload)
    {
        if (!IsSupported)
        {
            throw new PlatformNotSupportedException(
                $"The schema of {name} cannot be read: operators by name need Linux on x86-64 and a libtorch 2.10 or newer.");
        }

        byte[] nameBytes = Encoding.UTF8.GetBytes(name + '\0'), overloadBytes = Encoding.UTF8.GetBytes(overload + '\0');
        fixed (byte* nameText = nameBytes, overloadText = overloadBytes)
        {
            var operatorName = new Name
            {
                Base = new Text { Address = nameText, Length = (nuint)nameBytes.Length - 1, Capacity = (nuint)nameBytes.Length },
                Overload = new Text
                {
                    Address = overloadText,
                    Length = (nuint)overloadBytes.Length - 1,
                    Capacity = (nuint)overloadBytes.Length,
                },
            };
            Found found = default;
            FindSchema(&found, Singleton(), &operatorName);
            return found.Entry == 0 ? null : SchemaLine(Dump(found.Entry), name, overload);
        }
    }

    // An empty string owns no memory, so the result may be written over it.
    private static string Dump(nint entry)
    {
        nint text;
        byte none = 0;
        LibtorchExports.Check(LibtorchExports.NewString(&none, 0, &text), "torch_new_string_handle");
        DumpState(text, entry);
        string dump = StableAbi.ReadString(text);
        _ = LibtorchExports.DeleteString(text);
        return dump;
    }

    private static string SchemaLine(string dump, string name, string overload)
    {
        const string Label = "schema: ";
        string full = overload.Length == 0 ? name : $"{name}.{overload}";
        return dump.Split('\n').Where(line => line.StartsWith($"{Label}{full}(", StringComparison.Ordinal))
            .Select(line => line[Label.Length..]).FirstOrDefault()
            ?? throw new PlatformNotSupportedException(
                $"This libtorch describes {full} in a way that TorchAO does not know: {dump.Split('\n')[0]}.");
    }

    private struct Text
    {
        public byte* Address;
        public nuint Length;
        public nuint Capacity;
        public nuint Rest;
    }

    private struct Name
    {
        public Text Base;
        public Text Overload;
    }

    // std::optional<OperatorHandle>: the entry, a list iterator, the flag; more than today's 24 bytes for safety.
    [InlineArray(7)]
    private struct Tail
    {
        private nuint first;
    }

    private struct Found
    {
        public nint Entry;
        public Tail Rest;
    }
}
