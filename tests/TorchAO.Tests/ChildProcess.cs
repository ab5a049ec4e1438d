using System.Diagnostics;

namespace TorchAO.Tests;

/// <summary>Runs one explicit test of this program in a process of its own, for what ends a process or fills its memory.</summary>
internal static class ChildProcess
{
    /// <summary>Starts a child. The caller disposes it.</summary>
    /// <param name="method">The full name of the test, which is marked explicit.</param>
    /// <param name="variables">What it is told by its environment.</param>
    public static Process Start(string method, IReadOnlyDictionary<string, string> variables)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["-noLogo", "-noColor", "-explicit", "only", "-method", method])
        {
            RedirectStandardOutput = true,
        };
        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    /// <summary>Runs a child to its end.</summary>
    /// <returns>What it wrote.</returns>
    public static string Run(string method, IReadOnlyDictionary<string, string> variables)
    {
        using Process child = Start(method, variables);
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        return child.ExitCode == 0
            ? output
            : throw new InvalidOperationException($"the child ended with {child.ExitCode}:\n{output}");
    }

    /// <summary>Gets what the parent said, in a child.</summary>
    public static string Told(string variable) => Environment.GetEnvironmentVariable(variable)
        ?? throw new InvalidOperationException($"{variable} is not set: this test is run by another one, in a process of its own.");
}
