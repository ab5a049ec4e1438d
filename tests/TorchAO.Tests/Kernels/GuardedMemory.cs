using System.Runtime.InteropServices;
using Xunit;

namespace TorchAO.Tests.Kernels;

/// <summary>Memory whose end is the end of a page, behind which nothing may be read.</summary>
internal static partial class GuardedMemory
{
    private const int Page = 4096;
    private const int ReadWrite = 3;
    private const int None = 0;
    private const int PrivateAnonymous = 0x22;

    /// <summary>Copies bytes so that the byte behind the last one is on a page without access.</summary>
    public static nint End(byte[] bytes, out nint region)
    {
        int size = Size(bytes.Length);
        region = Map(0, (nuint)size + Page, ReadWrite, PrivateAnonymous, -1, 0);
        Assert.NotEqual(-1, region);
        Assert.Equal(0, Protect(region + size, Page, None));
        nint start = region + size - bytes.Length;
        Marshal.Copy(bytes, 0, start, bytes.Length);
        return start;
    }

    public static void Free(nint region, int length) => Assert.Equal(0, Unmap(region, (nuint)Size(length) + Page));

    private static int Size(int length) => (length + Page - 1) / Page * Page;

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    private static partial int Protect(nint address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint address, nuint length);
}
