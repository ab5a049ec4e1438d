using System.Reflection;
using System.Runtime.InteropServices;

namespace TorchAO.Peers.Ggml;

/// <summary>Loads ggml's libraries, with the kernels that ggml itself chooses for this processor.</summary>
internal sealed unsafe class GgmlLibrary
{
    /// <summary>The environment variable that names the folder of the libraries.</summary>
    public const string FolderVariable = "TORCHAO_PEERS_GGML";

    /// <summary>What to do where the libraries are absent.</summary>
    public const string Remedy =
        $"run bench/TorchAO.Peers/fetch-ggml, or set {FolderVariable} to the folder of libggml-base.so";

    private const string FetchedFolder = "bench/TorchAO.Peers/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64";
    private const int ProcessorDevice = 0;

    private readonly Dictionary<string, nint> handles = [];

    private GgmlLibrary(string folder)
    {
        Folder = folder;
        handles[GgmlNative.Tensors] = NativeLibrary.Load(Path.Combine(folder, "libggml-base.so"));
        handles[GgmlNative.Registry] = NativeLibrary.Load(One(folder, "libggml.*so*"));
        NativeLibrary.SetDllImportResolver(Assembly.GetExecutingAssembly(), (name, _, _) => handles.GetValueOrDefault(name));
        GgmlNative.SetLog(&Ignore, null);
        GgmlNative.LoadAll(folder);
        Device = GgmlNative.DeviceOf(ProcessorDevice);
        if (Device == 0)
        {
            throw new InvalidOperationException($"ggml in {folder} found no library of kernels for this processor.");
        }

        // ggml has loaded one of the libraries of kernels; the map of this process says which.
        Kernels = File.ReadLines("/proc/self/maps")
            .Select(line => line[(line.IndexOf('/', StringComparison.Ordinal) + 1)..])
            .Select(path => Path.GetFileName(path))
            .First(file => file.StartsWith("libggml-cpu", StringComparison.Ordinal));
        handles[GgmlNative.Processor] = NativeLibrary.Load(Path.Combine(folder, Kernels));
    }

    /// <summary>Gets the folder of the libraries.</summary>
    public string Folder { get; }

    /// <summary>Gets the library of kernels in use, such as <c>libggml-cpu-zen4.so</c>.</summary>
    public string Kernels { get; }

    /// <summary>Gets the processor as ggml's device.</summary>
    public nint Device { get; }

    /// <summary>Loads the libraries once.</summary>
    /// <returns>The libraries, or <see langword="null"/> where they are not there.</returns>
    public static GgmlLibrary? Find()
    {
        string folder = Environment.GetEnvironmentVariable(FolderVariable)
            ?? Path.Combine(SourceTree.Root, FetchedFolder);
        return File.Exists(Path.Combine(folder, "libggml-base.so")) ? new GgmlLibrary(folder) : null;
    }

    /// <summary>Finds the type of buffers whose weights are put into the order of the fastest kernels when written.</summary>
    /// <returns>The type, or 0 where this processor has none.</returns>
    public nint RepackingBufferType()
    {
        nint find = GgmlNative.Procedure(GgmlNative.RegistryOf(Device), "ggml_backend_dev_get_extra_bufts");
        nint* types = find == 0 ? null : ((delegate* unmanaged<nint, nint*>)find)(Device);
        for (; types is not null && *types != 0; types++)
        {
            if (Marshal.PtrToStringUTF8(GgmlNative.BufferTypeName(*types)) == "CPU_REPACK")
            {
                return *types;
            }
        }

        return 0;
    }

    /// <summary>Names the library for <c>NativeLibrary</c>, where several carry versions in their names.</summary>
    public static string One(string folder, string pattern) =>
        Directory.EnumerateFiles(folder, pattern).Order(StringComparer.Ordinal).FirstOrDefault()
        ?? throw new FileNotFoundException($"{folder} has no {pattern}; {Remedy}.");

    /// <summary>Adds a library that imports may name.</summary>
    public void Add(string name, string file) => handles[name] = NativeLibrary.Load(Path.Combine(Folder, file));

    [UnmanagedCallersOnly]
    private static void Ignore(int level, byte* text, void* state)
    {
    }
}
