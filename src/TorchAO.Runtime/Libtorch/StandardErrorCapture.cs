using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Reads what libtorch prints to standard error while a function runs.</summary>
/// <remarks>
/// libtorch 2.10's stable interface prints the text of an exception and returns a status alone, so this is the only way to
/// the text. Standard error belongs to the whole process: what other threads print meanwhile is passed on afterwards as
/// far as it stands before libtorch's line. Used after a failure only, never around a call that may succeed in passing.
/// </remarks>
[SupportedOSPlatform("linux")]
internal static partial class StandardErrorCapture
{
    private const string Marker = "Exception in aoti_torch: ";
    private const int StandardError = 2;
    private const uint CloseOnExec = 1;

    private static readonly Lock Gate = new();

    /// <summary>Runs a function and gives the first line of the exception that libtorch printed meanwhile, if any.</summary>
    public static string? FirstLineDuring(Action action)
    {
        lock (Gate)
        {
            int saved = Duplicate(StandardError);
            using var file = new SafeFileHandle(CreateMemoryFile("stderr", CloseOnExec), ownsHandle: true);
            if (saved < 0 || file.IsInvalid)
            {
                return null;
            }

            _ = DuplicateTo((int)file.DangerousGetHandle(), StandardError);
            try
            {
                action();
            }
            finally
            {
                _ = DuplicateTo(saved, StandardError);
                _ = Close(saved);
            }

            byte[] bytes = new byte[RandomAccess.GetLength(file)];
            int count = RandomAccess.Read(file, bytes, 0);
            return Split(Encoding.UTF8.GetString(bytes, 0, count));
        }
    }

    private static string? Split(string printed)
    {
        int marker = printed.IndexOf(Marker, StringComparison.Ordinal);
        int foreign = marker < 0 ? printed.Length : printed.LastIndexOf('\n', marker) + 1;
        Console.Error.Write(printed[..foreign]);
        return marker < 0 ? null : printed[(marker + Marker.Length)..].Split('\n', 2)[0].Trim();
    }

    [LibraryImport("libc", EntryPoint = "dup")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Duplicate(int descriptor);

    [LibraryImport("libc", EntryPoint = "dup2")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int DuplicateTo(int descriptor, int target);

    [LibraryImport("libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int CreateMemoryFile(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "close")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Close(int descriptor);
}
