using Xunit;

namespace TorchAO.Architecture.Tests.Engineering;

/// <summary>Runs <c>eng/test</c> over stand-ins for the build and the test programs: the count must never flatter.</summary>
public sealed class TestCommandTests : IDisposable
{
    private const string GoodBuild = "exit 0";

    private readonly StandIns stand = new();

    [Fact]
    public void Passed_and_skipped_tests_of_all_programs_are_added_up()
        => AssertCloses("5 passed, 0 failed, 1 skipped", 0, GoodBuild, StandIns.Result(3, 0, 1, status: 0), StandIns.Result(2, 0, 0, status: 0));

    [Fact]
    public void A_failed_test_fails_the_command()
        => AssertCloses("3 passed, 1 failed, 0 skipped", 1, GoodBuild, StandIns.Result(1, 1, 0, status: 1), StandIns.Result(2, 0, 0, status: 0));

    [Fact]
    public void A_program_that_crashes_without_a_result_is_a_failure_and_the_others_still_run()
        => AssertCloses("2 passed, 1 failed, 0 skipped", 1, GoodBuild, "kill -SEGV $$", StandIns.Result(2, 0, 0, status: 0));

    [Fact]
    public void A_program_that_crashes_after_its_last_test_is_a_failure()
        => AssertCloses("4 passed, 1 failed, 0 skipped", 1, GoodBuild, StandIns.Result(4, 0, 0, status: 134));

    [Fact]
    public void A_program_that_runs_no_test_is_a_failure()
        => AssertCloses("2 passed, 1 failed, 0 skipped", 1, GoodBuild, StandIns.Result(0, 0, 0, status: 0), StandIns.Result(2, 0, 0, status: 0));

    [Fact]
    public void A_damaged_result_is_a_failure()
        => AssertCloses("2 passed, 1 failed, 0 skipped", 1, GoodBuild,
            "echo '<assembly passed=' > \"$result\"", StandIns.Result(2, 0, 0, status: 0));

    [Fact]
    public void A_failed_build_is_a_failure_and_no_program_runs()
        => AssertCloses("0 passed, 1 failed, 0 skipped", 1, "exit 1", StandIns.Result(2, 0, 0, status: 0));

    [Fact]
    public void What_continuous_integration_runs_is_the_command_of_a_person()
        => Assert.Contains("eng/test", Repository.Read(".ci/run"), StringComparison.Ordinal);

    public void Dispose() => stand.Dispose();

    private void AssertCloses(string expected, int status, string build, params string[] programs)
    {
        stand.Script("path/dotnet", build);
        for (int i = 0; i < programs.Length; i++)
        {
            string name = $"Planted{i}.Tests";
            stand.Folder(Path.Combine("tests", name));
            stand.Program($"artifacts/bin/{name}/release/{name}", programs[i]);
        }

        stand.AssertCloses("eng/test", expected, status);
    }
}
