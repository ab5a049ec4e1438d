using System.Diagnostics;
using Xunit;

namespace TorchAO.Architecture.Tests.Engineering;

/// <summary>Runs <c>eng/test</c> over stand-ins for the build and the test programs: the count must never flatter.</summary>
public sealed class TestCommandTests : IDisposable
{
    private const string GoodBuild = "exit 0";

    private readonly string root = Directory.CreateTempSubdirectory("torchao-count").FullName;

    [Fact]
    public void Passed_and_skipped_tests_of_all_programs_are_added_up()
        => AssertCloses("5 passed, 0 failed, 1 skipped", 0, GoodBuild, Result(3, 0, 1, status: 0), Result(2, 0, 0, status: 0));

    [Fact]
    public void A_failed_test_fails_the_command()
        => AssertCloses("3 passed, 1 failed, 0 skipped", 1, GoodBuild, Result(1, 1, 0, status: 1), Result(2, 0, 0, status: 0));

    [Fact]
    public void A_program_that_crashes_without_a_result_is_a_failure_and_the_others_still_run()
        => AssertCloses("2 passed, 1 failed, 0 skipped", 1, GoodBuild, "kill -SEGV $$", Result(2, 0, 0, status: 0));

    [Fact]
    public void A_program_that_crashes_after_its_last_test_is_a_failure()
        => AssertCloses("4 passed, 1 failed, 0 skipped", 1, GoodBuild, Result(4, 0, 0, status: 134));

    [Fact]
    public void A_program_that_runs_no_test_is_a_failure()
        => AssertCloses("2 passed, 1 failed, 0 skipped", 1, GoodBuild, Result(0, 0, 0, status: 0), Result(2, 0, 0, status: 0));

    [Fact]
    public void A_damaged_result_is_a_failure()
        => AssertCloses("2 passed, 1 failed, 0 skipped", 1, GoodBuild,
            "echo '<assembly passed=' > \"$result\"", Result(2, 0, 0, status: 0));

    [Fact]
    public void A_failed_build_is_a_failure_and_no_program_runs()
        => AssertCloses("0 passed, 1 failed, 0 skipped", 1, "exit 1", Result(2, 0, 0, status: 0));

    [Fact]
    public void What_continuous_integration_runs_is_the_command_of_a_person()
        => Assert.Contains("eng/test", Repository.Read(".ci/run"), StringComparison.Ordinal);

    public void Dispose() => Directory.Delete(root, recursive: true);

    private static string Result(int passed, int failed, int skipped, int status)
        => $"echo '<assemblies><assembly errors=\"0\" failed=\"{failed}\" passed=\"{passed}\" skipped=\"{skipped}\">"
            + $"</assembly></assemblies>' > \"$result\"; exit {status}";

    private void AssertCloses(string expected, int status, string build, params string[] programs)
    {
        Script("bin/dotnet", build);
        File.WriteAllText(Prepare("eng/test"), Repository.Read("eng/test"));
        for (int i = 0; i < programs.Length; i++)
        {
            string name = $"Planted{i}.Tests";
            Directory.CreateDirectory(Path.Combine(root, "tests", name));
            string findResult = "while [ \"$1\" != -result-xml ]; do shift; done; result=\"$2\"";
            Script($"artifacts/bin/{name}/release/{name}", $"{findResult}\n{programs[i]}");
        }

        ProcessStartInfo start = new("bash", [Path.Combine(root, "eng/test")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["PATH"] = Path.Combine(root, "bin") + ":" + Environment.GetEnvironmentVariable("PATH");
        using Process process = Process.Start(start)!;
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginErrorReadLine();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();

        Assert.Equal(expected, output.TrimEnd().Split('\n')[^1]);
        Assert.Equal(status, process.ExitCode);
    }

    private void Script(string path, string body)
    {
        string file = Prepare(path);
        File.WriteAllText(file, $"#!/usr/bin/env bash\n{body}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private string Prepare(string path)
    {
        string file = Path.Combine(root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        return file;
    }
}
