using System.Runtime.InteropServices;
using TorchAO.Runtime.Libtorch;

namespace TorchAO.Runtime.Cuda;

/// <summary>Where NVRTC may lie: named by the user, beside libtorch, in the packages beside PyTorch, on the loader's path.</summary>
internal sealed class NvrtcSearch
{
    /// <summary>Names the file of the compiler, or its folder.</summary>
    public const string Variable = "TORCHAO_NVRTC";

    /// <summary>Gets what the user named.</summary>
    public string? Chosen { get; init; }

    /// <summary>Gets the folder of libtorch.</summary>
    public string? LibtorchFolder { get; init; }

    /// <summary>Gets the driver's version, 13000 for 13.0; an older driver does not load what a newer compiler made. 0 if there is none.</summary>
    public int DriverVersion { get; init; }

    /// <summary>Opens a library by path or name; 0 where it cannot.</summary>
    public Func<string, nint> Open { get; init; } = Load;

    /// <summary>Makes the search of this process.</summary>
    public static NvrtcSearch OfProcess()
    {
        NativeLoader.EnsureLoaded();
        return new NvrtcSearch
        {
            Chosen = Environment.GetEnvironmentVariable(Variable),
            LibtorchFolder = NativeLoader.Report!.LibtorchFolder,
            DriverVersion = CudaDevice.DriverVersion,
        };
    }

    /// <summary>Opens the first that there is.</summary>
    public NvrtcLibrary Find()
    {
        List<string> searched = [];
        foreach (string candidate in Candidates(searched))
        {
            nint handle = Open(candidate);
            if (handle != 0)
            {
                return new NvrtcLibrary(handle, candidate, searched);
            }
        }

        return new NvrtcLibrary(0, null, searched);
    }

    // The compiler opens its second half by name alone, and not every build of it looks beside itself.
    private static nint Load(string path)
    {
        if (Path.GetDirectoryName(path) is { Length: > 0 } folder && Directory.Exists(folder))
        {
            foreach (string half in Directory.GetFiles(folder, OperatingSystem.IsWindows() ? "nvrtc-builtins*.dll" : "libnvrtc-builtins.so.*"))
            {
                NativeLibrary.TryLoad(half, out _);
            }
        }

        return NativeLibrary.TryLoad(path, out nint handle) ? handle : 0;
    }

    private IEnumerable<string> Candidates(List<string> searched)
    {
        string[] names = Names();
        if (!string.IsNullOrEmpty(Chosen))
        {
            // What the user names is the only place: another compiler in silence would be a riddle.
            searched.Add($"{Chosen} ({Variable})");
            return Directory.Exists(Chosen) ? Present(Chosen, names) : [Chosen];
        }

        string[] folders = LibtorchFolder is null ? [] : [LibtorchFolder, .. PackageFolders(LibtorchFolder)];
        searched.AddRange(folders.Select(folder => Path.Combine(folder, names[0])));
        searched.AddRange(names.Select(name => $"{name} on the loader's path"));
        return names.SelectMany(name => folders.SelectMany(folder => Present(folder, [name]))).Concat(names);
    }

    // site-packages/torch/lib has site-packages/nvidia/<package>/lib beside it.
    private static string[] PackageFolders(string libtorch)
    {
        string nvidia = Path.GetFullPath(Path.Combine(libtorch, "..", "..", "nvidia"));
        return Directory.Exists(nvidia)
            ? [.. Directory.GetDirectories(nvidia).Select(package => Path.Combine(package, "lib")).Where(Directory.Exists).Order(StringComparer.Ordinal)]
            : [];
    }

    private static IEnumerable<string> Present(string folder, IEnumerable<string> names) =>
        names.Select(name => Path.Combine(folder, name)).Where(File.Exists);

    private string[] Names()
    {
        string[] newestFirst = OperatingSystem.IsWindows()
            ? ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"]
            : ["libnvrtc.so.13", "libnvrtc.so.12"];
        return DriverVersion is > 0 and < 13000 ? [newestFirst[1], newestFirst[0]] : newestFirst;
    }
}
