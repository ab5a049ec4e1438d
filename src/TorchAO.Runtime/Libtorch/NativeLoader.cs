using System.Runtime.InteropServices;
using System.Runtime.Loader;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Loads libtorch and TorchSharp's native library, on systems too where TorchSharp's own loader gives up.</summary>
/// <remarks>
/// TorchSharp's library names one symbol version that Debian 12 and Ubuntu 22.04 lack, for a symbol nothing calls.
/// When, and only when, the linker refuses the file for that reason, a private copy with this one requirement marked
/// weak is loaded instead. The package folder is never written to. The package's startup hook calls this before
/// <c>Main</c>; where a host runs no such hooks, call <see cref="EnsureLoaded"/> before anything touches TorchSharp.
/// </remarks>
public static partial class NativeLoader
{
    private const string TorchSharpLibrary = "libLibTorchSharp.so";

    // Order matters: each library finds the ones before it already loaded, whatever the search path says.
    private static readonly string[] LibtorchLibraries =
        ["libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"];

    private static readonly Lock Gate = new();
    private static NativeLoadReport? report;

    /// <summary>Gets what was loaded from where, or <see langword="null"/> before <see cref="EnsureLoaded"/>.</summary>
    public static NativeLoadReport? Report => report;

    /// <summary>Loads the native libraries once; later calls return at once.</summary>
    /// <exception cref="DllNotFoundException">A library is missing or the linker refuses it; the message names the
    /// file, the missing version and the remedy.</exception>
    public static void EnsureLoaded()
    {
        lock (Gate)
        {
            report ??= Load();
        }
    }

    private static NativeLoadReport Load()
    {
        ThreadVariable.Apply();
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            return new NativeLoadReport("TorchSharp's own search", null, []);
        }

        string? libtorch = NativeSearch.FindLibtorch();
        if (libtorch is not null)
        {
            LoadLibtorch(libtorch);
        }

        string torchSharp = NativeSearch.Find(TorchSharpLibrary)
            ?? throw new DllNotFoundException(
                $"{TorchSharpLibrary} was not found in {string.Join(", ", NativeSearch.Folders())}. " +
                "Reference the TorchSharp package from the application, or publish with its native files.");
        (nint handle, IReadOnlyList<string> relaxed) = LoadTorchSharp(torchSharp);
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += (_, name) =>
            name is "LibTorchSharp" or TorchSharpLibrary ? handle : 0;
        return new NativeLoadReport(libtorch ?? "the system's search path", torchSharp, relaxed);
    }

    private static void LoadLibtorch(string folder)
    {
        foreach (string library in LibtorchLibraries)
        {
            string path = Path.Combine(folder, library);
            if (!File.Exists(path))
            {
                continue; // the CUDA libraries are absent from a CPU build
            }

            nint handle = LoadOne(path, folder);
            if (library == "libtorch_cpu.so")
            {
                RequireVersion(path, ReadVersion(handle));
            }
        }
    }

    private static nint LoadOne(string path, string folder)
    {
        try
        {
            return NativeLibrary.Load(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new DllNotFoundException(
                $"{path} could not be loaded: {LinkerReason(e.Message)}. " +
                $"Check that {folder} holds a complete libtorch for this system, or set " +
                $"{NativeSearch.LibtorchVariable} to the torch/lib folder of a PyTorch 2.10 or newer.", e);
        }
    }

    // Major, minor and patch in the highest bytes; versions before this function are too old anyway.
    private static unsafe ulong ReadVersion(nint library) =>
        NativeLibrary.TryGetExport(library, "aoti_torch_abi_version", out nint function)
            ? ((delegate* unmanaged<ulong>)function)()
            : 0;

    /// <summary>Refuses a libtorch whose stable interface is older than ours.</summary>
    internal static void RequireVersion(string path, ulong version)
    {
        const ulong Oldest = (2ul << 56) | (10ul << 48);
        if (version < Oldest)
        {
            string found = version == 0 ? "an older one" : $"{version >> 56}.{(version >> 48) & 0xff}";
            throw new DllNotFoundException(
                $"{path} is not of PyTorch 2.10 or newer but of {found}. Update it, set {NativeSearch.LibtorchVariable} to the " +
                "torch/lib folder of a newer one, or unset that variable to use the libtorch package.");
        }
    }

    [SupportedOSPlatform("linux")]
    private static (nint Handle, IReadOnlyList<string> Relaxed) LoadTorchSharp(string path)
    {
        try
        {
            return (NativeLibrary.Load(path), []);
        }
        catch (DllNotFoundException e)
        {
            string[] missing = MissingVersions(e.Message);
            if (missing.Length == 0)
            {
                throw new DllNotFoundException(
                    $"{path} could not be loaded: {LinkerReason(e.Message)}. Fetch libtorch once: dotnet package download " +
                    $"libtorch-cpu-linux-x64@{NativeSearch.LibtorchVersion} --output {NativeSearch.PackageRoot()}, or set {NativeSearch.LibtorchVariable} to the torch/lib " +
                    "folder of a PyTorch 2.10 or newer.", e);
            }

            try
            {
                byte[] copy = File.ReadAllBytes(path);
                ElfSymbolVersions.MarkWeak(copy, "libstdc++.so.6", missing);
                return (PrivateCopy.Load(TorchSharpLibrary, copy), missing);
            }
            catch (Exception inner) when (inner is BadImageFormatException or NotSupportedException or IOException
                                              or UnauthorizedAccessException or DllNotFoundException)
            {
                throw new DllNotFoundException(
                    $"{path} needs {string.Join(", ", missing)} of libstdc++.so.6, which this system lacks, and a " +
                    $"relaxed private copy could not be used: {LinkerReason(inner.Message)}. " +
                    "Install libstdc++ of GCC 13 or newer (Debian 13, Ubuntu 24.04).", inner);
            }
        }
    }

    /// <summary>Gets the linker's own words, which stand behind the runtime's advice to use tracing tools.</summary>
    internal static string LinkerReason(string message)
    {
        string[] lines = message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        bool hasAdvice = lines.Length > 1 && lines[0].StartsWith("Unable to load", StringComparison.Ordinal);
        return lines.Length == 0 ? "no reason given" : lines[hasAdvice ? 1 : 0].TrimEnd('.');
    }

    /// <summary>Gets the versions that the linker's message says are missing for TorchSharp's library itself.</summary>
    internal static string[] MissingVersions(string message) =>
        [.. MissingVersion().Matches(message).Select(match => match.Groups[1].Value).Distinct()];

    [GeneratedRegex(@"version `(GLIBCXX_[0-9.]+)' not found \(required by [^)]*libLibTorchSharp\.so\)")]
    private static partial Regex MissingVersion();
}
