using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security.Cryptography;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Loads a library from bytes: out of memory where the kernel allows it, else from a file only we can write.</summary>
[SupportedOSPlatform("linux")]
internal static partial class PrivateCopy
{
    private const uint CloseOnExec = 1;

    /// <summary>Loads the library and returns its handle, which lives as long as the process.</summary>
    /// <exception cref="DllNotFoundException">The linker refuses this copy too.</exception>
    public static nint Load(string name, byte[] library)
    {
        int descriptor = CreateMemoryFile(name, CloseOnExec);
        if (descriptor >= 0)
        {
            string path = $"/proc/self/fd/{descriptor}";
            try
            {
                File.WriteAllBytes(path, library);
                return NativeLibrary.Load(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or DllNotFoundException)
            {
                // Some hardened systems forbid execution from memory files; the file on disk below says why if it fails.
            }
            finally
            {
                Close(descriptor);
            }
        }

        string cache = Environment.GetFolderPath(
            Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return NativeLibrary.Load(WriteFile(cache, name, library));
    }

    /// <summary>Writes the library below a folder of the user's, or finds it there with the same bytes.</summary>
    /// <exception cref="IOException">There is no such folder, or it cannot be written to.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be written to.</exception>
    internal static string WriteFile(string cache, string name, byte[] library)
    {
        if (string.IsNullOrEmpty(cache))
        {
            throw new IOException("this user has no home for application data; set XDG_DATA_HOME to a private folder");
        }

        string hash = Convert.ToHexStringLower(SHA256.HashData(library))[..16];
        string folder = Path.Combine(cache, "torchao", hash);
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        string path = Path.Combine(folder, name);
        if (File.Exists(path) && File.ReadAllBytes(path).AsSpan().SequenceEqual(library))
        {
            return path;
        }

        string temporary = $"{path}.{Guid.NewGuid():n}";
        File.WriteAllBytes(temporary, library);
        File.Move(temporary, path, overwrite: true);
        return path;
    }

    [LibraryImport("libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int CreateMemoryFile(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "close")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial void Close(int descriptor);
}
