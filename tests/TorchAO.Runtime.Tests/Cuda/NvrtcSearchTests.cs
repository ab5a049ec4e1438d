using TorchAO.Runtime.Cuda;
using Xunit;

namespace TorchAO.Runtime.Tests.Cuda;

/// <summary>Where the compiler is looked for, in folders made for it; nothing is loaded.</summary>
public sealed class NvrtcSearchTests : IDisposable
{
    private readonly string site = Directory.CreateTempSubdirectory("torchao-site").FullName;

    public void Dispose() => Directory.Delete(site, recursive: true);

    [Fact]
    public void The_packages_beside_PyTorch_have_it()
    {
        string libtorch = Put("torch/lib", "libtorch_cpu.so");
        string expected = Path.Combine(Put("nvidia/cu13/lib", "libnvrtc.so.13"), "libnvrtc.so.13");

        Assert.Equal(expected, Search(libtorch).Find().Path);
    }

    [Theory]
    [InlineData(0, "libnvrtc.so.13")]
    [InlineData(13010, "libnvrtc.so.13")]
    [InlineData(12080, "libnvrtc.so.12")]
    public void An_old_driver_gets_the_compiler_of_its_generation(int driver, string expected)
    {
        string libtorch = Put("torch/lib", "libnvrtc.so.12");
        Put("nvidia/cu13/lib", "libnvrtc.so.13");

        Assert.Equal(expected, Path.GetFileName(Search(libtorch, driver: driver).Find().Path));
    }

    [Fact]
    public void What_the_user_names_is_the_only_place()
    {
        string libtorch = Put("torch/lib", "libnvrtc.so.13");
        string chosen = Put("chosen", "libnvrtc.so.12");

        Assert.Equal(Path.Combine(chosen, "libnvrtc.so.12"), Search(libtorch, chosen).Find().Path);
        Assert.Equal("elsewhere/libnvrtc.so.13", Search(libtorch, "elsewhere/libnvrtc.so.13").Find().Path);
        string empty = Put("empty", "readme.txt");
        NvrtcLibrary none = Search(libtorch, empty).Find();
        Assert.Null(none.Path);
        Assert.Equal([$"{empty} (TORCHAO_NVRTC)"], none.Searched);
    }

    [Fact]
    public void A_system_without_it_is_told_where_it_was_looked_for()
    {
        string libtorch = Put("torch/lib", "libtorch_cpu.so");
        string package = Put("nvidia/cublas/lib", "libcublas.so");
        var search = new NvrtcSearch { LibtorchFolder = libtorch, Open = _ => 0 };

        string message = search.Find().Missing().Message;

        Assert.Contains(Path.Combine(libtorch, "libnvrtc.so.13"), message, StringComparison.Ordinal);
        Assert.Contains(Path.Combine(package, "libnvrtc.so.13"), message, StringComparison.Ordinal);
        Assert.Contains("libnvrtc.so.12 on the loader's path", message, StringComparison.Ordinal);
        Assert.Contains("set TORCHAO_NVRTC to the file or its folder", message, StringComparison.Ordinal);
    }

    private static NvrtcSearch Search(string libtorch, string? chosen = null, int driver = 0) =>
        new() { Chosen = chosen, LibtorchFolder = libtorch, DriverVersion = driver, Open = _ => 1 };

    private string Put(string folder, string file)
    {
        string path = Path.Combine(site, folder);
        Directory.CreateDirectory(path);
        File.WriteAllText(Path.Combine(path, file), "");
        return path;
    }
}
