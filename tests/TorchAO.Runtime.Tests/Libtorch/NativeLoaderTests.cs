using System.Diagnostics;
using System.Globalization;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Libtorch;
using Xunit;

namespace TorchAO.Runtime.Tests.Libtorch;

public sealed class NativeLoaderTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("torchao-test-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void The_report_names_what_is_loaded()
    {
        NativeLoader.EnsureLoaded();
        NativeLoadReport report = NativeLoader.Report!;
        Assert.SkipWhen(report.TorchSharpLibrary is null, "not Linux on x86-64");
        Assert.True(File.Exists(report.TorchSharpLibrary));
        Assert.True(File.Exists(Path.Combine(report.LibtorchFolder, "libtorch_cpu.so")));
    }

    [Theory]
    [InlineData(0x020a_0000_0000_0000ul, true)]
    [InlineData(0x020b_0100_0000_0000ul, true)]
    [InlineData(0x0300_0000_0000_0000ul, true)]
    [InlineData(0x0209_0100_0000_0000ul, false)]
    [InlineData(0ul, false)]
    public void An_older_libtorch_is_refused_with_file_version_and_remedy(ulong version, bool isFine)
    {
        const string Path = "/opt/torch/lib/libtorch_cpu.so";
        if (isFine)
        {
            NativeLoader.RequireVersion(Path, version);
            return;
        }

        DllNotFoundException error = Assert.Throws<DllNotFoundException>(() => NativeLoader.RequireVersion(Path, version));
        Assert.Contains(Path, error.Message, StringComparison.Ordinal);
        Assert.Contains("2.10", error.Message, StringComparison.Ordinal);
        Assert.Contains("TORCHAO_LIBTORCH", error.Message, StringComparison.Ordinal);
        Assert.Contains(version == 0 ? "an older one" : "2.9", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_linkers_words_are_found_behind_the_advice()
    {
        Assert.Equal("/x/lib.so: file too short", NativeLoader.LinkerReason(
            "Unable to load shared library '/x/lib.so' or one of its dependencies. Consider strace: \n/x/lib.so: file too short\n"));
        Assert.Equal("disk full", NativeLoader.LinkerReason("disk full."));
    }

    [Fact]
    public void Only_versions_that_TorchSharps_library_misses_are_relaxed()
    {
        const string Message = "/lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by {0})";
        Assert.Equal(["GLIBCXX_3.4.32"], NativeLoader.MissingVersions(Format("/app/libLibTorchSharp.so")));
        Assert.Empty(NativeLoader.MissingVersions(Format("/app/libtorch_cpu.so")));
        Assert.Empty(NativeLoader.MissingVersions("version `GLIBC_2.99' not found (required by /app/libLibTorchSharp.so)"));

        static string Format(string library) => string.Format(CultureInfo.InvariantCulture, Message, library);
    }

    [Fact]
    public void A_folder_without_libtorch_ends_the_process_with_the_remedy()
    {
        (int status, string errors) = RunChild((NativeSearch.LibtorchVariable, folder));
        Assert.NotEqual(0, status);
        Assert.Contains($"TORCHAO_LIBTORCH is {folder}, which has no libtorch_cpu.so", errors, StringComparison.Ordinal);
        Assert.Contains("PyTorch 2.10 or newer", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Another_libtorch_than_the_applications_own_is_refused()
    {
        NativeSearch.RequireNoOther("/a/lib", null);
        NativeSearch.RequireNoOther("/a/lib", "/a/../a/lib");

        var error = Assert.Throws<DllNotFoundException>(() => NativeSearch.RequireNoOther("/a/lib", "/app"));

        Assert.Contains("/a/lib", error.Message, StringComparison.Ordinal);
        Assert.Contains("of its own in /app", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_libtorch_ends_the_process_with_the_linkers_reason()
    {
        File.WriteAllText(Path.Combine(folder, "libtorch_cpu.so"), "not a library");
        (int status, string errors) = RunChild((NativeSearch.LibtorchVariable, folder));
        Assert.NotEqual(0, status);
        Assert.Contains("libtorch_cpu.so could not be loaded", errors, StringComparison.Ordinal);
        Assert.Contains("file too short", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_named_libtorch_is_used()
    {
        (int status, string errors) = RunChild((NativeSearch.LibtorchVariable, NativeLoader.Report!.LibtorchFolder));
        Assert.True(status == 0, errors);
    }

    [Theory]
    [InlineData("1")]
    [InlineData("2")]
    public void The_variable_bounds_the_count_of_threads(string count)
    {
        (int status, string errors) = RunChild((ThreadVariable.Name, count));
        Assert.True(status == 0, errors);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("many")]
    [InlineData("99999999999")]
    public void A_count_of_threads_that_is_none_is_refused(string count)
    {
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => ThreadVariable.Parse(count));
        Assert.Contains($"\"{count}\"", error.Message, StringComparison.Ordinal);
    }

    // What the child processes of this class run, and this process too: there the variable is usually not set.
    [Fact]
    public void The_worker_count_is_at_most_the_variables()
    {
        string? count = Environment.GetEnvironmentVariable(ThreadVariable.Name);
        int most = string.IsNullOrEmpty(count) ? TorchSharp.torch.get_num_threads() : ThreadVariable.Parse(count);
        Assert.InRange(ParallelRows.WorkerCount, 1, most);
    }

    private static (int Status, string Errors) RunChild(params (string Name, string Value)[] environment)
    {
        string probe = $"{typeof(NativeLoaderTests).FullName}.{nameof(The_worker_count_is_at_most_the_variables)}";
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["-noLogo", "-method", probe])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process child = Process.Start(start)!;
        Task<string> errors = child.StandardError.ReadToEndAsync();
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        return (child.ExitCode, errors.Result + output);
    }
}
