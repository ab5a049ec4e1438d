using System.Buffers.Binary;
using System.Text;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Edits the symbol-version requirements of an ELF file in memory.</summary>
/// <remarks>Source: Linux Standard Base, "Symbol Versioning" (Elfxx_Verneed, Elfxx_Vernaux), and the System V ABI.</remarks>
internal static class ElfSymbolVersions
{
    private const uint SectionRela = 4;
    private const uint SectionDynamicSymbols = 11;
    private const uint SectionVersionNeed = 0x6ffffffe;
    private const uint SectionVersionSymbols = 0x6fffffff;
    private const ushort FlagWeak = 2;
    private const int RelaEntryBytes = 24;

    private readonly record struct Section(uint Type, long Offset, long Size, uint Link, uint Info);

    /// <summary>Marks required versions as weak, so that the linker accepts their absence.</summary>
    /// <param name="elf">The file's bytes; changed in place, one bit a version.</param>
    /// <param name="library">The library the versions are required of.</param>
    /// <param name="versions">The versions that the linker reported missing.</param>
    /// <exception cref="BadImageFormatException">Not a well-formed little-endian x86-64 ELF file, or a version is not
    /// among its requirements.</exception>
    /// <exception cref="NotSupportedException">A relocation uses a symbol of such a version: it is really needed.</exception>
    public static void MarkWeak(byte[] elf, string library, IReadOnlyCollection<string> versions)
    {
        try
        {
            Section[] sections = ReadSections(elf);
            int marked = 0;
            foreach ((string version, int flagsAt, ushort index) in Requirements(elf, sections, library))
            {
                if (!versions.Contains(version))
                {
                    continue;
                }

                RequireUnused(elf, sections, index, version);
                ushort flags = U16(elf, flagsAt);
                BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(flagsAt), (ushort)(flags | FlagWeak));
                marked++;
            }

            if (marked != versions.Count)
            {
                throw new BadImageFormatException(
                    $"{marked} of the {versions.Count} versions {string.Join(", ", versions)} are required of {library}");
            }
        }
        catch (Exception e) when (e is ArgumentOutOfRangeException or IndexOutOfRangeException or OverflowException)
        {
            throw new BadImageFormatException("an offset points outside the file", e);
        }
    }

    private static Section[] ReadSections(byte[] elf)
    {
        bool isElf = elf.Length >= 64 && elf.AsSpan(0, 4).SequenceEqual("\u007fELF"u8);
        if (!isElf || elf[4] != 2 || elf[5] != 1 || U16(elf, 18) != 62)
        {
            throw new BadImageFormatException("not a little-endian x86-64 ELF file");
        }

        long table = checked((long)U64(elf, 0x28));
        int count = U16(elf, 0x3c);
        if (U16(elf, 0x3a) != 64 || table <= 0 || table + (64L * count) > elf.Length)
        {
            throw new BadImageFormatException("the section table lies outside the file");
        }

        var sections = new Section[count];
        for (int i = 0; i < count; i++)
        {
            long at = table + (64L * i);
            sections[i] = new Section(
                U32(elf, at + 4), (long)U64(elf, at + 24), (long)U64(elf, at + 32), U32(elf, at + 40), U32(elf, at + 44));
        }

        return sections;
    }

    /// <summary>Walks Verneed and Vernaux records: each required version with the place of its flags and its index.</summary>
    private static IEnumerable<(string Version, int FlagsAt, ushort Index)> Requirements(
        byte[] elf, Section[] sections, string library)
    {
        Section need = One(sections, SectionVersionNeed);
        long strings = sections[need.Link].Offset;
        long record = need.Offset;
        for (uint i = 0; i < need.Info; i++)
        {
            int auxiliaries = U16(elf, record + 2);
            long auxiliary = record + U32(elf, record + 8);
            bool isLibrary = Text(elf, strings + U32(elf, record + 4)) == library;
            for (int k = 0; k < auxiliaries; k++)
            {
                string version = Text(elf, strings + U32(elf, auxiliary + 8));
                if (Hash(version) != U32(elf, auxiliary))
                {
                    throw new BadImageFormatException($"the stored hash of version {version} is wrong");
                }

                if (isLibrary)
                {
                    yield return (version, checked((int)auxiliary + 4), U16(elf, auxiliary + 6));
                }

                auxiliary = Next(elf, auxiliary, auxiliary + 12, isLast: k + 1 == auxiliaries);
            }

            record = Next(elf, record, record + 12, isLast: i + 1 == need.Info);
        }
    }

    // Records are linked by distance; a zero before the last one would have us read the same record for ever.
    private static long Next(byte[] elf, long record, long distanceAt, bool isLast)
    {
        uint distance = U32(elf, distanceAt);
        return distance > 0 || isLast
            ? record + distance
            : throw new BadImageFormatException("the list of required versions ends before its count");
    }

    private static void RequireUnused(byte[] elf, Section[] sections, ushort versionIndex, string version)
    {
        Section versionSymbols = One(sections, SectionVersionSymbols);
        Section symbols = One(sections, SectionDynamicSymbols);
        var bound = new HashSet<uint>();
        for (uint i = 0; i < versionSymbols.Size / 2 && i < symbols.Size / 24; i++)
        {
            if ((U16(elf, versionSymbols.Offset + (2L * i)) & 0x7fff) == versionIndex)
            {
                bound.Add(i);
            }
        }

        foreach (Section section in sections.Where(section => section.Type == SectionRela))
        {
            for (long at = section.Offset; at + RelaEntryBytes <= section.Offset + section.Size; at += RelaEntryBytes)
            {
                if (bound.Contains((uint)(U64(elf, at + 8) >> 32)))
                {
                    throw new NotSupportedException($"a relocation uses a symbol of version {version}");
                }
            }
        }
    }

    private static Section One(Section[] sections, uint type)
    {
        Section[] found = [.. sections.Where(section => section.Type == type)];
        return found.Length == 1 ? found[0] : throw new BadImageFormatException($"{found.Length} sections of type {type:x}");
    }

    // System V ABI, figure 5-12.
    private static uint Hash(string name)
    {
        uint hash = 0;
        foreach (char c in name)
        {
            hash = (hash << 4) + c;
            uint high = hash & 0xf0000000;
            hash = (hash ^ (high >> 24)) & ~high;
        }

        return hash;
    }

    private static string Text(byte[] elf, long at)
    {
        Span<byte> rest = elf.AsSpan(checked((int)at));
        int end = rest.IndexOf((byte)0);
        return Encoding.ASCII.GetString(rest[..(end < 0 ? throw new BadImageFormatException("unterminated name") : end)]);
    }

    private static ushort U16(byte[] elf, long at) => BinaryPrimitives.ReadUInt16LittleEndian(elf.AsSpan(checked((int)at)));

    private static uint U32(byte[] elf, long at) => BinaryPrimitives.ReadUInt32LittleEndian(elf.AsSpan(checked((int)at)));

    private static ulong U64(byte[] elf, long at) => BinaryPrimitives.ReadUInt64LittleEndian(elf.AsSpan(checked((int)at)));
}
