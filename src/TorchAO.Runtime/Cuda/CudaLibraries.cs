using System.Reflection;
using System.Runtime.InteropServices;

namespace TorchAO.Runtime.Cuda;

/// <summary>Finds the two native libraries of this folder at the first call into them; loading this assembly loads neither.</summary>
internal static class CudaLibraries
{
    /// <summary>The name under which the driver is imported.</summary>
    public const string Driver = "torchao-cuda-driver";

    /// <summary>The name under which the compiler is imported.</summary>
    public const string Compiler = "torchao-nvrtc";

    private static readonly Lock Gate = new();
    private static readonly Lazy<(nint Handle, string? Reason)> LazyDriver =
        new(() => OpenDriver(OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1", "libcuda.so"]));

    private static readonly Lazy<NvrtcLibrary> LazyCompiler = new(() => NvrtcSearch.OfProcess().Find());
    private static bool isRegistered;

    /// <summary>Gets the driver, or why there is none; looked up once.</summary>
    public static (nint Handle, string? Reason) DriverLibrary => LazyDriver.Value;

    /// <summary>Gets the compiler, or where it was looked for; searched once.</summary>
    public static NvrtcLibrary CompilerLibrary => LazyCompiler.Value;

    /// <summary>Lets imports of this assembly be resolved here. The first to come registers it.</summary>
    public static void Register()
    {
        lock (Gate)
        {
            if (!isRegistered)
            {
                NativeLibrary.SetDllImportResolver(typeof(CudaLibraries).Assembly, Resolve);
                isRegistered = true;
            }
        }
    }

    /// <summary>Opens the first of some names that the loader finds.</summary>
    public static (nint Handle, string? Reason) OpenDriver(IReadOnlyList<string> names)
    {
        foreach (string name in names)
        {
            if (NativeLibrary.TryLoad(name, out nint handle))
            {
                return (handle, null);
            }
        }

        return (0, $"this system has no CUDA driver ({string.Join(" or ", names)} was not found); install NVIDIA's driver to use a GPU");
    }

    // 0 leaves a name to the runtime's own search: other imports of this assembly.
    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path) => name switch
    {
        Driver => DriverLibrary.Handle,
        Compiler => CompilerLibrary.Handle,
        _ => 0,
    };
}
