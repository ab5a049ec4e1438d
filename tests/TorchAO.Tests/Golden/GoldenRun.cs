using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden;

/// <summary>The tensors of one case and the comparison of what we computed with what torchao recorded.</summary>
internal sealed class GoldenRun(GoldenCase recorded, GoldenSet set)
{
    private readonly HashSet<string> compared = [];
    private readonly List<string> problems = [];
    private bool answeredError;

    /// <summary>Reads an input; the scope of the run owns it.</summary>
    public Tensor Input(string name) => set.Read(recorded.Area, recorded.Inputs[name]);

    /// <summary>Reads a recorded output, for cases whose later steps start from it; the scope of the run owns
    /// it.</summary>
    public Tensor Recorded(string name) => set.Read(recorded.Area, recorded.Outputs[name]);

    public bool HasOutput(string name) => recorded.Outputs.ContainsKey(name);

    /// <summary>Compares one output; outputs that the case did not record are skipped.</summary>
    public void Expect(string name, Tensor? actual)
    {
        if (!recorded.Outputs.TryGetValue(name, out GoldenTensor? expected))
        {
            return;
        }

        compared.Add(name);
        string? problem = actual is null
            ? "we return none"
            : GoldenComparison.Explain(actual, set.Read(recorded.Area, expected), expected.Tolerance);
        if (problem is not null)
        {
            problems.Add($"{name}: {problem}");
        }
    }

    /// <summary>Compares an output that the recording device summed in fewer bits than we do, by its signal-to-noise ratio.</summary>
    /// <remarks>Tensor cores with fast accumulation keep about 14 bits of a float8 sum; only that device repeats them.</remarks>
    public void ExpectSignal(string name, Tensor actual, double decibels)
    {
        compared.Add(name);
        using DisposeScope scope = NewDisposeScope();
        Tensor expected = Recorded(name).to(ScalarType.Float64);
        Tensor error = actual.to(ScalarType.Float64) - expected;
        double reached = 20 * Math.Log10(expected.norm().item<double>() / error.norm().item<double>());
        if (!(reached >= decibels))
        {
            problems.Add($"{name}: {reached:0.0} dB above the difference, expected {decibels:0.0}");
        }
    }

    /// <summary>Checks that we refuse what torchao refuses, with an exception that tells the user why.</summary>
    public void Refuses(Action call)
    {
        answeredError = true;
        Exception? thrown = Record.Exception(call);
        if (thrown is not (QuantizationException or ArgumentException))
        {
            problems.Add($"torchao refuses with '{recorded.ExpectedError}', we {thrown?.ToString() ?? "accept"}");
        }
    }

    /// <summary>Checks that we compute what a defect of torchao's makes it refuse.</summary>
    public void Accepts(Action call)
    {
        answeredError = true;
        call();
    }

    /// <summary>Checks that an output records a defect of torchao's that ours does not share.</summary>
    public void Differs(string name, Tensor actual)
    {
        compared.Add(name);
        GoldenTensor expected = recorded.Outputs[name];
        if (GoldenComparison.Explain(actual, set.Read(recorded.Area, expected), expected.Tolerance) is null)
        {
            problems.Add($"{name}: the handler says that torchao is wrong here, and ours is the same");
        }
    }

    /// <summary>Runs a handler on a case and lists everything that differs.</summary>
    public static IReadOnlyList<string> Problems(GoldenCase recorded, GoldenSet set, IGoldenHandler handler)
    {
        using DisposeScope scope = NewDisposeScope();
        var run = new GoldenRun(recorded, set);
        handler.Run(recorded, run);
        run.problems.AddRange(recorded.Outputs.Where(output => output.Value.Tolerance.Mode != "info")
            .Select(output => output.Key).Except(run.compared)
            .Select(name => $"{name}: {handler.GetType().Name} left it out"));
        if (recorded.ExpectedError is not null && !run.answeredError)
        {
            run.problems.Add($"{handler.GetType().Name} left out the error '{recorded.ExpectedError}'");
        }

        return run.problems;
    }
}
