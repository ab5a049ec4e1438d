namespace TorchAO.Tests;

/// <summary>Finds the files that ship in the repository, wherever the tests run from.</summary>
internal static class RepositoryFiles
{
    private static readonly Lazy<string> RootFolder = new(() =>
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "TorchAO.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"no folder above {AppContext.BaseDirectory} holds TorchAO.slnx");
    });

    /// <summary>The path of a file, named from the root of the repository.</summary>
    public static string Path(string relative) => System.IO.Path.Combine(RootFolder.Value, relative);
}
