using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using TorchAO.Runtime.Libtorch;
using Xunit;

namespace TorchAO.Runtime.Tests.Libtorch;

[SupportedOSPlatform("linux")]
public sealed class PrivateCopyTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("torchao-test-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void The_file_is_ours_alone_and_used_again()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "private copies are made on Linux only");
        string path = PrivateCopy.WriteFile(folder, "lib.so", [1, 2, 3]);
        Assert.Equal([1, 2, 3], File.ReadAllBytes(path));
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
            File.GetUnixFileMode(Path.GetDirectoryName(path)!));
        DateTime written = File.GetLastWriteTimeUtc(path);
        Assert.Equal(path, PrivateCopy.WriteFile(folder, "lib.so", [1, 2, 3]));
        Assert.Equal(written, File.GetLastWriteTimeUtc(path));
        Assert.Single(Directory.GetFiles(Path.GetDirectoryName(path)!));
    }

    [Fact]
    public void A_file_with_other_bytes_is_replaced()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "private copies are made on Linux only");
        string path = PrivateCopy.WriteFile(folder, "lib.so", [1, 2, 3]);
        File.WriteAllBytes(path, [6, 6, 6]);
        PrivateCopy.WriteFile(folder, "lib.so", [1, 2, 3]);
        Assert.Equal([1, 2, 3], File.ReadAllBytes(path));
    }

    [Fact]
    public void The_linker_takes_the_file_where_memory_files_may_not_run()
    {
        Assert.SkipUnless(NativeLoader.Report?.TorchSharpLibrary is not null, "Linux on x86-64 only");
        NativeLoadReport report = NativeLoader.Report;
        byte[] library = File.ReadAllBytes(report.TorchSharpLibrary);
        if (report.RelaxedVersions.Count > 0)
        {
            Assert.Throws<DllNotFoundException>(() => NativeLibrary.Load(report.TorchSharpLibrary));
            ElfSymbolVersions.MarkWeak(library, ElfImage.Library, [.. report.RelaxedVersions]);
        }

        nint handle = NativeLibrary.Load(PrivateCopy.WriteFile(folder, "libLibTorchSharp.so", library));
        Assert.True(NativeLibrary.TryGetExport(handle, "THSTensor_new", out _));
        NativeLibrary.Free(handle);
    }

    [Fact]
    public void A_cache_that_cannot_be_written_is_an_error()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "private copies are made on Linux only");
        string file = Path.Combine(folder, "file");
        File.WriteAllText(file, "");
        Assert.ThrowsAny<IOException>(() => PrivateCopy.WriteFile(file, "lib.so", [1]));
        IOException error = Assert.Throws<IOException>(() => PrivateCopy.WriteFile("", "lib.so", [1]));
        Assert.Contains("XDG_DATA_HOME", error.Message, StringComparison.Ordinal);
    }
}
