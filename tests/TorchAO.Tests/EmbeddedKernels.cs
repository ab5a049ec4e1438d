using System.Reflection;
using System.Text.RegularExpressions;
using TorchAO.Runtime.Cuda;
using Xunit;

namespace TorchAO.Tests;

/// <summary>Compiles the CUDA files of an assembly, which needs the compiler but no device.</summary>
/// <remarks>
/// A file that is compiled under options says with which, a line each: <c>// Variant: -DACT=1 -DBITS=4</c>; without such a line it is
/// compiled once as it is. <c>// Architectures: sm_90a</c> names those that a file is for, if not all.
/// </remarks>
internal static partial class EmbeddedKernels
{
    /// <summary>Every generation that the kernels are written for, from A100 to the newest.</summary>
    public static TheoryData<string> Architectures => ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120a"];

    public static void AssertCompile(Assembly assembly, string architecture)
    {
        Assert.SkipUnless(CudaSource.CanCompile, CudaSource.CompilerAbsence ?? "");
        List<string> refused = [];
        foreach (string file in CudaSource.ListResources(assembly))
        {
            CudaSource source = CudaSource.FromResource(assembly, file);
            refused.AddRange(Variants(source.Text, architecture).Select(variant => Refusal(source.With(variant), architecture)).OfType<string>());
        }

        Assert.True(refused.Count == 0, string.Join("\n", refused));
    }

    /// <summary>Reads from a file which options it is compiled under for an architecture; none where it is not for that one.</summary>
    public static IReadOnlyList<string[]> Variants(string text, string architecture)
    {
        if (ArchitecturesLine().Match(text) is { Success: true } line && !line.Groups[1].Value.Split(' ').Contains(architecture))
        {
            return [];
        }

        string[][] variants = [.. VariantLine().Matches(text).Select(match => match.Groups[1].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
        return variants.Length == 0 ? [[]] : variants;
    }

    private static string? Refusal(CudaSource source, string architecture)
    {
        try
        {
            Assert.True(source.Compile(architecture).Code.Length > 0);
            return null;
        }
        catch (CudaException e)
        {
            return $"{source}: {e.Message}";
        }
    }

    [GeneratedRegex(@"^// Architectures: (.+?)\s*$", RegexOptions.Multiline)]
    private static partial Regex ArchitecturesLine();

    [GeneratedRegex(@"^// Variant: (.+?)\s*$", RegexOptions.Multiline)]
    private static partial Regex VariantLine();
}
