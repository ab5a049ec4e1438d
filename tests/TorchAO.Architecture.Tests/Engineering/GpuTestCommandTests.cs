using Xunit;

namespace TorchAO.Architecture.Tests.Engineering;

/// <summary>Runs <c>eng/gpu-test</c> over stand-ins for Python and the test programs.</summary>
public sealed class GpuTestCommandTests : IDisposable
{
    private const string Torch = "echo /nowhere/torch/lib";

    private readonly StandIns stand = new();

    [Fact]
    public void Programs_without_device_tests_do_not_fail_the_run()
        => AssertCloses("2 passed, 0 failed, 1 skipped", 0, Torch, StandIns.Result(2, 0, 1, 0), StandIns.Result(0, 0, 0, 0));

    [Fact]
    public void A_run_without_a_passed_test_fails()
        => AssertCloses("0 passed, 0 failed, 3 skipped", 1, Torch, StandIns.Result(0, 0, 3, 0));

    [Fact]
    public void A_failed_test_a_crash_and_a_missing_result_each_fail()
        => AssertCloses(
            "3 passed, 3 failed, 0 skipped", 1, Torch,
            StandIns.Result(2, 1, 0, 1), "kill -SEGV $$", StandIns.Result(1, 0, 0, 0), "exit 0");

    [Fact]
    public void Without_PyTorch_no_test_runs()
        => AssertCloses("0 passed, 1 failed, 0 skipped", 1, "exit 1", StandIns.Result(2, 0, 0, 0));

    [Fact]
    public void Only_tests_of_the_device_are_asked_for_with_the_libtorch_of_PyTorch()
        => AssertCloses(
            "1 passed, 0 failed, 0 skipped", 0, Torch,
            "[[ \"$all\" == *\"-trait device=cuda\"* && $TORCHAO_LIBTORCH == /nowhere/torch/lib && $LD_LIBRARY_PATH == /nowhere/torch/lib:* ]] || exit 7\n"
            + StandIns.Result(1, 0, 0, 0));

    [Fact]
    public void A_bad_access_that_memcheck_finds_is_a_failure()
    {
        stand.Script("path/compute-sanitizer", "while [[ \"$1\" == -* || \"$1\" == memcheck || \"$1\" == no || \"$1\" == 99 ]]; do shift; done; \"$@\"; exit 99");
        stand.Program("bin/TorchAO.Runtime.Tests", StandIns.Result(2, 0, 0, 0));
        stand.Script("python", Torch);
        stand.AssertCloses("eng/gpu-test", "4 passed, 1 failed, 0 skipped", 1, ("PYTHON", "./python"), ("GPU_TEST_MEMCHECK", "1"));
    }

    public void Dispose() => stand.Dispose();

    private void AssertCloses(string expected, int status, string python, params string[] programs)
    {
        for (int i = 0; i < programs.Length; i++)
        {
            stand.Program($"bin/Planted{i}.Tests", programs[i]);
        }

        stand.Script("python", python);
        stand.AssertCloses("eng/gpu-test", expected, status, ("PYTHON", "./python"));
    }
}
