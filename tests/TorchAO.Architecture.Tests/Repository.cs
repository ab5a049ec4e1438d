using System.Diagnostics;

namespace TorchAO.Architecture.Tests;

/// <summary>The checkout that these tests judge: its root and the files that belong to it.</summary>
internal static class Repository
{
    private static readonly Lazy<string[]> files = new(ListFiles);

    public static string Root { get; } = FindRoot();

    /// <summary>Gets every file of the repository, relative to its root, with forward slashes.</summary>
    public static IReadOnlyList<string> Files => files.Value;

    public static string FullPath(string relativePath) => Path.Combine(Root, relativePath);

    public static string Read(string relativePath) => File.ReadAllText(FullPath(relativePath));

    public static IEnumerable<string> Sources(params string[] folders)
        => Files.Where(file => file.EndsWith(".cs", StringComparison.Ordinal)
            && folders.Any(folder => file.StartsWith(folder + "/", StringComparison.Ordinal)));

    public static bool IsText(string relativePath)
        => Path.GetExtension(relativePath) is ".cs" or ".cu" or ".cuh" or ".md" or ".csproj" or ".props" or ".targets"
            or ".slnx" or ".txt" or ".json" or ".yml" or ".sh" or ".editorconfig" or ".gitignore" or ".gitattributes"
            or "";

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "TorchAO.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"No TorchAO.slnx above {AppContext.BaseDirectory}; "
            + "run the architecture tests from a build inside the repository.");
    }

    // New files count before they are added; what git ignores does not. A source archive has no .git: then walk.
    private static string[] ListFiles()
    {
        string[] listed = Path.Exists(Path.Combine(Root, ".git"))
            ? Git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
            : [];
        IEnumerable<string> names = listed.Length > 0 ? listed : Walk();
        return [.. names.Where(name => File.Exists(FullPath(name))).Distinct().Order(StringComparer.Ordinal)];
    }

    private static string[] Git(params string[] arguments)
    {
        ProcessStartInfo start = new("git", ["-c", "safe.directory=*", .. arguments])
        {
            WorkingDirectory = Root,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using Process process = Process.Start(start)!;
            process.ErrorDataReceived += static (_, _) => { };
            process.BeginErrorReadLine();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0 ? output.Split('\0', StringSplitOptions.RemoveEmptyEntries) : [];
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return []; // git is not installed: the walk below lists the same files and a few more.
        }
    }

    private static IEnumerable<string> Walk()
    {
        string[] ignored = ["artifacts", ".git", ".vs", ".idea", "TestResults", "BenchmarkDotNet.Artifacts", "node_modules"];
        return Directory.EnumerateFiles(Root, "*", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Root, file).Replace('\\', '/'))
            .Where(file => !file.Split('/').Any(ignored.Contains));
    }
}
