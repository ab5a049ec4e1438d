namespace TorchAO.Runtime.Libtorch;

/// <summary>Where native libraries may lie, in order of preference.</summary>
internal static class NativeSearch
{
    /// <summary>Names a <c>torch/lib</c> folder of a Python install of PyTorch 2.10 or newer.</summary>
    public const string LibtorchVariable = "TORCHAO_LIBTORCH";

    /// <summary>Set by the build: the package folder's libtorch, so that no output folder needs a copy.</summary>
    public const string LibtorchProperty = "TorchAO.LibtorchDirectory";

    /// <summary>The version of the libtorch package that TorchSharp is built for.</summary>
    public const string LibtorchVersion = "2.10.0";

    /// <summary>Finds the folder that holds <c>libtorch_cpu.so</c>, or <see langword="null"/>.</summary>
    /// <remarks>A copy that came with the application goes first: TorchSharp loads it by its path, and two copies of libtorch in
    /// one process end it.</remarks>
    /// <exception cref="DllNotFoundException">The environment variable names a folder without libtorch, or another one than the
    /// application's own.</exception>
    public static string? FindLibtorch()
    {
        string? chosen = Environment.GetEnvironmentVariable(LibtorchVariable);
        string? own = Folders().FirstOrDefault(folder => Holds(folder, "libtorch_cpu.so"));
        if (!string.IsNullOrEmpty(chosen))
        {
            RequireNoOther(chosen, own);
            return Holds(chosen, "libtorch_cpu.so") ? chosen : throw new DllNotFoundException(
                $"{LibtorchVariable} is {chosen}, which has no libtorch_cpu.so. " +
                "Set it to the torch/lib folder of a PyTorch 2.10 or newer, or unset it.");
        }

        string? configured = AppContext.GetData(LibtorchProperty) as string;
        return own ?? new[] { configured, PackageFolder() }
            .FirstOrDefault(folder => !string.IsNullOrEmpty(folder) && Holds(folder, "libtorch_cpu.so"));
    }

    /// <summary>Refuses a libtorch beside another one that the application brings.</summary>
    internal static void RequireNoOther(string chosen, string? own)
    {
        if (own is not null && Path.GetFullPath(own) != Path.GetFullPath(chosen))
        {
            throw new DllNotFoundException(
                $"{LibtorchVariable} is {chosen}, but the application brings a libtorch of its own in {own}, and a process can hold one " +
                "only. Remove the reference to the libtorch package from the application, or unset the variable.");
        }
    }

    /// <summary>Gets the place of the libtorch package in the package folder of this user.</summary>
    /// <remarks>For an installed tool: the folder that its build knew may be another user's.</remarks>
    public static string PackageFolder() =>
        Path.Combine(PackageRoot(), "libtorch-cpu-linux-x64", LibtorchVersion, "runtimes", "linux-x64", "native");

    /// <summary>Gets the package folder of this user.</summary>
    public static string PackageRoot()
    {
        string? packages = Environment.GetEnvironmentVariable("NUGET_PACKAGES");
        return string.IsNullOrEmpty(packages)
            ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages")
            : packages;
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
