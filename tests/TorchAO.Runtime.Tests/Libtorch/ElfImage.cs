using System.Buffers.Binary;
using System.Text;

namespace TorchAO.Runtime.Tests.Libtorch;

/// <summary>Builds the smallest library that requires versions of libstdc++ and libc.</summary>
internal static class ElfImage
{
    public const string Library = "libstdc++.so.6";
    public const string Missing = "GLIBCXX_3.4.32";
    public const string Other = "GLIBCXX_3.4.30";

    /// <summary>Symbol 1 is bound to <see cref="Missing"/>, symbol 2 to <see cref="Other"/>.</summary>
    /// <param name="relocatedSymbol">The symbol that the one relocation uses.</param>
    /// <param name="flagsAt">The place of the flags of <see cref="Missing"/>.</param>
    public static byte[] Create(uint relocatedSymbol, out int flagsAt)
    {
        byte[] strings = Encoding.ASCII.GetBytes($"\0{Library}\0{Missing}\0{Other}\0libc.so.6\0GLIBC_2.34\0");
        uint At(string name) => (uint)Encoding.ASCII.GetString(strings).IndexOf(name, StringComparison.Ordinal);
        byte[] needs =
        [
            .. Need(count: 2, At(Library), next: 48), .. Version(Missing, index: 2, At(Missing), next: 16),
            .. Version(Other, index: 3, At(Other), next: 0),
            .. Need(count: 1, At("libc.so.6"), next: 0), .. Version("GLIBC_2.34", index: 4, At("GLIBC_2.34"), next: 0),
        ];
        byte[] symbols = new byte[3 * 24];
        byte[] versions = [0, 0, 2, 0, 3, 0];
        byte[] relocations = new byte[24];
        BinaryPrimitives.WriteUInt64LittleEndian(relocations.AsSpan(8), ((ulong)relocatedSymbol << 32) | 6);

        (uint Type, byte[] Data, uint Link, uint Info)[] sections =
        [
            (0, [], 0, 0), (3, strings, 0, 0), (11, symbols, 1, 1), (0x6fffffff, versions, 2, 0),
            (0x6ffffffe, needs, 1, 2), (4, relocations, 2, 0),
        ];
        byte[] header = new byte[64];
        List<byte> body = [.. header];
        List<byte> table = [];
        flagsAt = 0;
        foreach ((uint type, byte[] data, uint link, uint info) in sections)
        {
            flagsAt = type == 0x6ffffffe ? body.Count + 16 + 4 : flagsAt;
            table.AddRange(Section(type, body.Count, data.Length, link, info));
            body.AddRange(data);
        }

        byte[] elf = [.. body, .. table];
        "\u007fELF"u8.CopyTo(elf);
        elf[4] = 2;
        elf[5] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(18), 62);
        BinaryPrimitives.WriteUInt64LittleEndian(elf.AsSpan(0x28), (ulong)body.Count);
        BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(0x3a), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(0x3c), (ushort)sections.Length);
        return elf;
    }

    private static byte[] Need(ushort count, uint file, uint next) =>
        [.. Bytes16(1), .. Bytes16(count), .. Bytes32(file), .. Bytes32(16), .. Bytes32(next)];

    private static byte[] Version(string name, ushort index, uint at, uint next) =>
        [.. Bytes32(Hash(name)), .. Bytes16(0), .. Bytes16(index), .. Bytes32(at), .. Bytes32(next)];

    private static byte[] Section(uint type, long offset, long size, uint link, uint info)
    {
        byte[] section = new byte[64];
        BinaryPrimitives.WriteUInt32LittleEndian(section.AsSpan(4), type);
        BinaryPrimitives.WriteInt64LittleEndian(section.AsSpan(24), offset);
        BinaryPrimitives.WriteInt64LittleEndian(section.AsSpan(32), size);
        BinaryPrimitives.WriteUInt32LittleEndian(section.AsSpan(40), link);
        BinaryPrimitives.WriteUInt32LittleEndian(section.AsSpan(44), info);
        return section;
    }

    // The published example values of the System V hash fix it: "" is 0, "printf" is 0x077905a6.
    internal static uint Hash(string name)
    {
        ulong hash = 0;
        foreach (byte c in Encoding.ASCII.GetBytes(name))
        {
            hash = (hash << 4) + c;
            hash = (hash & 0x0fffffff) ^ ((hash >> 24) & 0xf0);
        }

        return (uint)hash;
    }

    private static byte[] Bytes16(ushort value) => [(byte)value, (byte)(value >> 8)];

    private static byte[] Bytes32(uint value) => [.. Bytes16((ushort)value), .. Bytes16((ushort)(value >> 16))];
}
