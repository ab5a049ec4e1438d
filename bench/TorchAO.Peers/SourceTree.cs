using System.Diagnostics;

namespace TorchAO.Peers;

/// <summary>The checkout that the benchmark was built from.</summary>
internal static class SourceTree
{
    /// <summary>Gets the root of the checkout: the nearest folder above the program that has the solution.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Gets the short name of the commit.</summary>
    public static string Commit()
    {
        var start = new ProcessStartInfo("git", "rev-parse --short HEAD")
        {
            RedirectStandardOutput = true,
            WorkingDirectory = Root,
        };
        using Process git = Process.Start(start)!;
        string commit = git.StandardOutput.ReadToEnd().Trim();
        git.WaitForExit();
        return commit;
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "TorchAO.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException(
            $"{AppContext.BaseDirectory} is in no checkout (no TorchAO.slnx above it); run the benchmark from a checkout.");
    }
}
