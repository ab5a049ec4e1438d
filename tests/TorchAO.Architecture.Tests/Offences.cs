using Xunit;

namespace TorchAO.Architecture.Tests;

/// <summary>One way of failing for every rule: all offenders at once, then what to do.</summary>
internal static class Offences
{
    public static void AssertNone(IEnumerable<string> offences, string remedy)
    {
        string[] found = [.. offences.Order(StringComparer.Ordinal)];
        if (found.Length > 0)
        {
            Assert.Fail($"{found.Length} offence(s):\n  {string.Join("\n  ", found)}\n{remedy}");
        }
    }
}
