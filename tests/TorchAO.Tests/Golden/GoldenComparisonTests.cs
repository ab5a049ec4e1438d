using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden;

public sealed class GoldenComparisonTests
{
    [Fact]
    public void Exact_finds_one_element_and_says_which()
    {
        using DisposeScope scope = NewDisposeScope();

        string? problem = GoldenComparison.Explain(Floats(1, 2, 3), Floats(1, 2.5f, 3), GoldenTolerance.Exact);

        Assert.StartsWith("1 of 3 differ, first at 1: 2, expected 2.5", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Exact_takes_not_a_number_for_itself_and_both_zeros_for_one()
    {
        using DisposeScope scope = NewDisposeScope();

        Assert.Null(GoldenComparison.Explain(Floats(float.NaN, -0f), Floats(float.NaN, 0f), GoldenTolerance.Exact));
        Assert.NotNull(GoldenComparison.Explain(Floats(float.NaN), Floats(1), GoldenTolerance.Exact));
        Assert.NotNull(GoldenComparison.Explain(Floats(1), Floats(float.NaN), new GoldenTolerance("close", 1, 1)));
    }

    [Fact]
    public void Shapes_and_types_must_agree()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = Floats(1, 2);

        Assert.NotNull(GoldenComparison.Explain(x.reshape(2, 1), x, GoldenTolerance.Exact));
        Assert.NotNull(GoldenComparison.Explain(x.to_type(ScalarType.BFloat16), x, GoldenTolerance.Exact));
        Tensor codes = x.to_type(ScalarType.Int32);
        Assert.NotNull(GoldenComparison.Explain(x.to_type(ScalarType.Int64), codes, GoldenTolerance.Exact));
        Assert.Null(GoldenComparison.Explain(codes, x.to_type(ScalarType.Int8), GoldenTolerance.Exact));
    }

    [Fact]
    public void Codes_may_differ_in_number_and_size_as_stated()
    {
        using DisposeScope scope = NewDisposeScope();
        var half = new GoldenTolerance("codes", MaxAbsDiff: 1, MaxMismatchFraction: 0.5);

        Assert.Null(GoldenComparison.Explain(Floats(1, 2), Floats(1, 3), half));
        Assert.NotNull(GoldenComparison.Explain(Floats(1, 2), Floats(1, 4), half));
        Assert.NotNull(GoldenComparison.Explain(Floats(1, 2), Floats(2, 3), half));
        Assert.NotNull(GoldenComparison.Explain(Floats(0x12), Floats(0x32), half with { Mode = "codes_packed4" }));
    }

    [Fact]
    public void Decibels_are_held_against_the_bar()
    {
        using DisposeScope scope = NewDisposeScope();

        Assert.Null(GoldenComparison.Explain(Floats(10.1f), Floats(10), new GoldenTolerance("sqnr", MinDecibel: 39)));
        Assert.NotNull(GoldenComparison.Explain(Floats(10.1f), Floats(10), new GoldenTolerance("sqnr", MinDecibel: 41)));
    }

    [Fact]
    public void An_output_that_a_handler_leaves_out_is_a_problem()
    {
        GoldenCase recorded = GoldenSet.Current.Cases.First(c => c.Area == "A" && c.Outputs.Count > 0);

        IReadOnlyList<string> problems = GoldenRun.Problems(recorded, GoldenSet.Current, new SilentHandler());

        Assert.Equal(recorded.Outputs.Count, problems.Count);
    }

    [Fact]
    public void An_error_that_we_do_not_raise_is_a_problem()
    {
        GoldenCase recorded = GoldenSet.Current.Cases.First(c => c.Area == "A" && c.ExpectedError is not null);

        Assert.NotEmpty(GoldenRun.Problems(recorded, GoldenSet.Current, new AcceptingHandler()));
    }

    private static Tensor Floats(params float[] values) => tensor(values);

    private sealed class SilentHandler : IGoldenHandler
    {
        public bool Handles(GoldenCase recorded) => false;

        public void Run(GoldenCase recorded, GoldenRun run)
        {
        }
    }

    private sealed class AcceptingHandler : IGoldenHandler
    {
        public bool Handles(GoldenCase recorded) => false;

        public void Run(GoldenCase recorded, GoldenRun run) => run.Refuses(() => { });
    }
}
