using System.Xml.Linq;
using TorchAO.Runtime.Libtorch;
using Xunit;

namespace TorchAO.Runtime.Tests;

public sealed class PackageTargetsTests
{
    private static readonly string Root = FindRoot();
    private static readonly XDocument Targets = XDocument.Load(
        Path.Combine(Root, "src", "TorchAO.Runtime", "buildTransitive", "TorchAO.Runtime.targets"));

    [Fact]
    public void Users_get_the_libtorch_that_this_repository_is_tested_with()
    {
        XDocument packages = XDocument.Load(Path.Combine(Root, "Directory.Packages.props"));
        Assert.Equal(
            packages.Descendants("LibtorchVersion").Single().Value,
            Targets.Descendants("TorchAOLibtorchVersion").Single().Value);
    }

    [Fact]
    public void Users_get_the_hook_and_the_folder_under_the_names_that_the_boot_knows()
    {
        Dictionary<string, string> options = Targets.Descendants("RuntimeHostConfigurationOption")
            .ToDictionary(option => option.Attribute("Include")!.Value, option => option.Attribute("Value")!.Value);
        Assert.Equal(typeof(NativeLoader).Assembly.GetName().Name, options["STARTUP_HOOKS"]);
        Assert.NotNull(typeof(NativeLoader).Assembly.GetType("StartupHook"));
        Assert.EndsWith("/runtimes/linux-x64/native", options[NativeSearch.LibtorchProperty], StringComparison.Ordinal);
    }

    private static string FindRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "TorchAO.slnx")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder ?? throw new DirectoryNotFoundException($"no TorchAO.slnx above {AppContext.BaseDirectory}");
    }
}
