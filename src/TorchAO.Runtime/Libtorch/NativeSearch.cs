namespace TorchAO.Runtime.Libtorch;

/// <summary>Where native libraries may lie, in order of preference.</summary>
internal static class NativeSearch
{
    /// <summary>Names a <c>torch/lib</c> folder of a Python install of PyTorch 2.10 or newer.</summary>
    public const string LibtorchVariable = "TORCHAO_LIBTORCH";

    /// <summary>Set by the build: the package folder's libtorch, so that no output folder needs a copy.</summary>
    public const string LibtorchProperty = "TorchAO.LibtorchDirectory";

    /// <summary>Finds the folder that holds <c>libtorch_cpu.so</c>, or <see langword="null"/>.</summary>
    /// <exception cref="DllNotFoundException">The environment variable names a folder without libtorch.</exception>
    public static string? FindLibtorch()
    {
        string? chosen = Environment.GetEnvironmentVariable(LibtorchVariable);
        if (!string.IsNullOrEmpty(chosen))
        {
            return Holds(chosen, "libtorch_cpu.so") ? chosen : throw new DllNotFoundException(
                $"{LibtorchVariable} is {chosen}, which has no libtorch_cpu.so. " +
                "Set it to the torch/lib folder of a PyTorch 2.10 or newer, or unset it.");
        }

        string? configured = AppContext.GetData(LibtorchProperty) as string;
        string[] folders = string.IsNullOrEmpty(configured) ? [.. Folders()] : [configured, .. Folders()];
        return folders.FirstOrDefault(folder => Holds(folder, "libtorch_cpu.so"));
    }

    /// <summary>Finds a library that came with the application, or <see langword="null"/>.</summary>
    public static string? Find(string library) =>
        Folders().Where(folder => Holds(folder, library)).Select(folder => Path.Combine(folder, library)).FirstOrDefault();

    /// <summary>The folders of the application's native libraries.</summary>
    public static IEnumerable<string> Folders()
    {
        string host = AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "";
        return host.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Append(Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native"))
            .Append(AppContext.BaseDirectory)
            .Distinct();
    }

    private static bool Holds(string folder, string library) => File.Exists(Path.Combine(folder, library));
}
