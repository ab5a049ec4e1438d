using System.Runtime.InteropServices;

namespace TorchAO.Runtime.Storage;

/// <summary>Flushes a folder's list of names to the disk, without which a rename may be lost with the power.</summary>
public static partial class FolderSync
{
    private const int ReadOnly = 0;
    private const int InvalidArgument = 22; // EINVAL: this file system keeps its names without being asked

    /// <summary>Waits until the names in a folder are on the disk. On Windows the file system's journal does it alone.</summary>
    /// <exception cref="IOException">The folder cannot be opened, or the disk refuses.</exception>
    public static void Flush(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        int file = Open(folder, ReadOnly);
        if (file < 0)
        {
            throw Failure(folder, "opened");
        }

        try
        {
            if (Synchronize(file) != 0 && Marshal.GetLastPInvokeError() != InvalidArgument)
            {
                throw Failure(folder, "flushed to the disk");
            }
        }
        finally
        {
            _ = Close(file);
        }
    }

    private static IOException Failure(string folder, string what) => new(
        $"{folder}: the folder could not be {what}: {Marshal.GetLastPInvokeErrorMessage()}. Check its rights and the disk.");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Synchronize(int file);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
