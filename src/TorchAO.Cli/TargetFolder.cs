namespace TorchAO.Cli;

/// <summary>A folder that a command makes: complete or not at all, and never over another one unless told so.</summary>
internal sealed class TargetFolder
{
    private readonly bool replaces;

    /// <summary>Checks the place before any work is done.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="replaces">Whether one that is there may go.</param>
    /// <exception cref="IOException">The place is taken.</exception>
    public TargetFolder(string path, bool replaces)
    {
        Path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        this.replaces = replaces;
        if (File.Exists(Path))
        {
            throw new IOException($"{Path} is a file, expected a folder to make; choose another name.");
        }

        if (!replaces && IsTaken)
        {
            throw new IOException($"{Path} is there and not empty; choose another name, or replace it with --force.");
        }

        string? parent = System.IO.Path.GetDirectoryName(Path);
        if (!Directory.Exists(parent))
        {
            throw new DirectoryNotFoundException($"{parent} is absent, expected the folder in which {Path} is to be made; make it first.");
        }
    }

    /// <summary>Gets the folder's full path.</summary>
    public string Path { get; }

    private bool IsTaken => Directory.Exists(Path) && Directory.EnumerateFileSystemEntries(Path).Any();

    /// <summary>Makes the folder; what was there goes once the new one is complete.</summary>
    public void Fill(Action<string> write)
    {
        if (!replaces || !IsTaken)
        {
            write(Path);
            return;
        }

        string fresh = $"{Path}.new";
        string old = $"{Path}.old";
        Remove(fresh);
        write(fresh);
        Remove(old);
        Directory.Move(Path, old);
        Directory.Move(fresh, Path);
        Remove(old);
    }

    private static void Remove(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
