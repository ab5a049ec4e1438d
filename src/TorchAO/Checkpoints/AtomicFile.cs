using Microsoft.Win32.SafeHandles;
using TorchAO.Runtime.Storage;

namespace TorchAO.Checkpoints;

/// <summary>A file that appears whole or not at all: written beside its target, flushed to the disk, then renamed.</summary>
/// <remarks>
/// The file beside is named <c>.name.partial</c> and locked while it is written. A process that is killed leaves it, the target
/// stays as it was, and the next writer of the same target begins it anew.
/// </remarks>
internal sealed class AtomicFile : IDisposable
{
    private readonly string target;
    private readonly string partial;
    private bool isCommitted;

    /// <summary>Begins a file.</summary>
    /// <param name="target">The path under which it will appear.</param>
    /// <param name="bytes">Its length, reserved at once, so that a full disk is found before the work and not after.</param>
    /// <exception cref="IOException">The folder is absent, the disk full, or another process writes the same target.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may make no files in the folder.</exception>
    public AtomicFile(string target, long bytes)
    {
        ArgumentException.ThrowIfNullOrEmpty(target);
        this.target = Path.GetFullPath(target);
        if (Directory.Exists(this.target))
        {
            throw new IOException($"{this.target} is a folder, expected the path of a file; add a file name.");
        }

        string folder = Path.GetDirectoryName(this.target)!;
        if (!Directory.Exists(folder))
        {
            // The file system's own message would name the partial file, of which the caller has never heard.
            throw new DirectoryNotFoundException(
                $"{target}: there is no folder {folder}, expected one in which the file is to be made; make the folder first or correct the path.");
        }

        partial = Path.Combine(folder, $".{Path.GetFileName(this.target)}.partial");
        try
        {
            Handle = File.OpenHandle(partial, FileMode.Create, FileAccess.ReadWrite, FileShare.None, preallocationSize: bytes);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new UnauthorizedAccessException(
                $"{target}: this user may make no files in {folder}, expected a folder to write to; choose another or change its rights.", e);
        }

        if (RandomAccess.GetLength(Handle) != bytes)
        {
            RandomAccess.SetLength(Handle, bytes);
        }
    }

    /// <summary>Gets the open file; owned by this object.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>Puts the file under its name, in the place of what was there.</summary>
    public void Commit()
    {
        RandomAccess.FlushToDisk(Handle);
        File.Move(partial, target, overwrite: true); // before the lock goes, or another writer could begin the same file
        isCommitted = true;
        Handle.Dispose();
        FolderSync.Flush(Path.GetDirectoryName(target)!);
    }

    /// <summary>Deletes what was written, unless it was committed.</summary>
    public void Dispose()
    {
        if (!isCommitted && !Handle.IsClosed)
        {
            File.Delete(partial);
            Handle.Dispose();
        }
    }
}
