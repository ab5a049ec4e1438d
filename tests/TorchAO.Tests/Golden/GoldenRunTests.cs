using System.Text.Json;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden;

/// <summary>The runner notices what it is there to notice.</summary>
public sealed class GoldenRunTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("golden").FullName;

    public GoldenRunTests() => WriteSet();

    [Fact]
    public void Equal_outputs_are_no_problem() => Assert.Empty(Problems(run => run.Expect("q", Tensor(1, 2, 3))));

    [Fact]
    public void One_wrong_bit_in_an_exact_output_is_a_problem() =>
        Assert.StartsWith("q: 1 of 3 differ", Problems(run => run.Expect("q", Tensor(1, 2, 2)))[0], StringComparison.Ordinal);

    [Fact]
    public void An_output_that_is_left_out_is_a_problem() => Assert.Contains("left it out", Assert.Single(Problems(_ => { })));

    [Fact]
    public void A_missing_result_is_a_problem() =>
        Assert.Equal("q: we return none", Assert.Single(Problems(run => run.Expect("q", null))));

    [Fact]
    public void A_recorded_defect_that_we_share_is_a_problem() =>
        Assert.Contains("torchao is wrong here", Assert.Single(Problems(run => run.Differs("q", Tensor(1, 2, 3)))));

    [Fact]
    public void A_recorded_error_must_be_answered()
    {
        IReadOnlyList<string> problems = Problems(run => run.Expect("q", Tensor(1, 2, 3)), "not divisible");

        Assert.Contains("left out the error 'not divisible'", Assert.Single(problems));
    }

    [Fact]
    public void A_call_that_we_accept_and_torchao_refuses_is_a_problem()
    {
        IReadOnlyList<string> problems = Problems(
            run =>
            {
                run.Expect("q", Tensor(1, 2, 3));
                run.Refuses(() => { });
            },
            "not divisible");

        Assert.Contains("we accept", Assert.Single(problems));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static Tensor Tensor(params sbyte[] values) => torch.tensor(values);

    private IReadOnlyList<string> Problems(Action<GoldenRun> run, string? error = null)
    {
        GoldenSet set = new(folder);
        return GoldenRun.Problems(Assert.Single(set.Cases) with { ExpectedError = error }, set, new Handler(run));
    }

    private void WriteSet()
    {
        byte[] header = JsonSerializer.SerializeToUtf8Bytes(
            new { q = new { dtype = "I8", shape = new[] { 3 }, data_offsets = new[] { 0, 3 } } });
        File.WriteAllBytes(
            Path.Combine(folder, "Z.safetensors"), [.. BitConverter.GetBytes((long)header.Length), .. header, 1, 2, 3]);
        File.WriteAllText(Path.Combine(folder, "index.json"), """
            {"tensor_files": {"Z": "Z.safetensors"},
             "cases": [{"id": "Z/one", "call": "f", "params": {}, "inputs": {}, "outputs": {"q": {"tensor": "q"}}}]}
            """);
    }

    private sealed class Handler(Action<GoldenRun> run) : IGoldenHandler
    {
        public bool Handles(GoldenCase recorded) => true;

        public void Run(GoldenCase recorded, GoldenRun goldenRun) => run(goldenRun);
    }
}
