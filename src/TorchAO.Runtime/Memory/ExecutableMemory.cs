using System.Runtime.InteropServices;

namespace TorchAO.Runtime.Memory;

/// <summary>Pages of machine code that was made while the process runs.</summary>
/// <remarks>
/// A page is writable until its code is complete and executable from then on, never both (W^X). Systems that forbid a process to
/// make code (SELinux's <c>execmem</c>, hardened containers) refuse the second step; the reason is then passed on.
/// </remarks>
public static unsafe partial class ExecutableMemory
{
    private const int ReadWrite = 1 | 2;
    private const int ReadExecute = 1 | 4;
    private const int PrivateAnonymousLinux = 0x02 | 0x20;
    private const int PrivateAnonymousMac = 0x02 | 0x1000;

    /// <summary>Copies code into pages of its own.</summary>
    /// <param name="code">Position-independent machine code of this processor.</param>
    /// <param name="reason">Why the system refused; <see langword="null"/> on success.</param>
    /// <returns>The address of the first instruction, or 0. The pages stay until the process ends.</returns>
    public static nint TryPlace(ReadOnlySpan<byte> code, out string? reason)
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsMacOS())
        {
            reason = "pages of code are made on Linux and macOS only";
            return 0;
        }

        nint length = (code.Length + Environment.SystemPageSize - 1) / Environment.SystemPageSize * Environment.SystemPageSize;
        int flags = OperatingSystem.IsMacOS() ? PrivateAnonymousMac : PrivateAnonymousLinux;
        nint pages = MapMemory(0, length, ReadWrite, flags, -1, 0);
        if (pages == -1)
        {
            reason = $"the system gave no {length} bytes (error {Marshal.GetLastPInvokeError()})";
            return 0;
        }

        code.CopyTo(new Span<byte>((void*)pages, code.Length));
        if (ProtectMemory(pages, length, ReadExecute) != 0)
        {
            reason = $"the system forbids this process to make code (error {Marshal.GetLastPInvokeError()})";
            _ = UnmapMemory(pages, length);
            return 0;
        }

        reason = null;
        return pages;
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint MapMemory(nint address, nint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int ProtectMemory(nint address, nint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int UnmapMemory(nint address, nint length);
}
