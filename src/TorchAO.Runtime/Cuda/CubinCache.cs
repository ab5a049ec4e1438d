using System.Security.Cryptography;

namespace TorchAO.Runtime.Cuda;

/// <summary>Compiled kernels on disk, so that a process compiles only what no process of this user has before.</summary>
/// <remarks>
/// One file a compilation, named by the hash of all that its result depends on: text, headers, options, architecture, version of the
/// compiler. A file is written under another name and renamed, so that processes may share a folder; it carries the hash of its
/// content, and a damaged one is compiled anew. The oldest files go when all together exceed the limit.
/// <c>TORCHAO_CACHE_DIR</c> names the folder, else it is <c>torchao/cubins</c> in the user's cache; <c>TORCHAO_CUBIN_CACHE=0</c>
/// switches it off.
/// </remarks>
public sealed class CubinCache
{
    /// <summary>Names the folder in which caches of this library are kept.</summary>
    public const string FolderVariable = "TORCHAO_CACHE_DIR";

    /// <summary>Switches the cache off where it is <c>0</c>.</summary>
    public const string SwitchVariable = "TORCHAO_CUBIN_CACHE";

    private const long DefaultLimit = 256L << 20;
    private const int HashBytes = 32;

    private static readonly TimeSpan AbandonedAfter = TimeSpan.FromHours(1);
    private static readonly Lazy<CubinCache> LazyDefault = new(() => new CubinCache(DefaultFolder(), DefaultLimit, Nvrtc.Compile));

    private readonly string? folder;
    private readonly long limit;
    private readonly Func<CudaSource, string, CudaBinary> compile;
    private int hits;
    private int compilations;
    private int damaged;
    private volatile string? trouble;

    /// <summary>Makes a cache over a folder; without one it only compiles.</summary>
    internal CubinCache(string? folder, long limit, Func<CudaSource, string, CudaBinary> compile) =>
        (this.folder, this.limit, this.compile) = (folder, limit, compile);

    /// <summary>Gets the cache of this process.</summary>
    public static CubinCache Default => LazyDefault.Value;

    /// <summary>Gets what it did so far.</summary>
    public CubinCacheReport Report => new(folder, hits, compilations, damaged, trouble);

    /// <summary>Gets the version of the compiler, which is part of every key.</summary>
    internal Func<Version> CompilerVersion { get; init; } = () => Nvrtc.Version;

    /// <summary>Gets the code of a source, compiled if it is not there.</summary>
    internal CudaBinary GetOrCompile(CudaSource source, string architecture)
    {
        if (folder is null)
        {
            Interlocked.Increment(ref compilations);
            return compile(source, architecture);
        }

        string path = PathOf(source.Key(architecture, CompilerVersion()));
        if (Read(path) is { } code)
        {
            Interlocked.Increment(ref hits);
            return new CudaBinary(architecture, code, "");
        }

        Interlocked.Increment(ref compilations);
        CudaBinary compiled = compile(source, architecture);
        Write(path, compiled.Code.Span);
        return compiled;
    }

    /// <summary>Gets the file of a key.</summary>
    internal string PathOf(string key) => Path.Combine(folder!, key + ".cubin");

    /// <summary>Chooses the folder by the environment; <see langword="null"/> where the cache is off or there is no place for it.</summary>
    internal static string? DefaultFolder()
    {
        if (Environment.GetEnvironmentVariable(SwitchVariable) == "0")
        {
            return null;
        }

        string? chosen = Environment.GetEnvironmentVariable(FolderVariable);
        if (!string.IsNullOrEmpty(chosen))
        {
            return Path.Combine(chosen, "cubins");
        }

        string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        if (string.IsNullOrEmpty(cache))
        {
            string home = Environment.GetFolderPath(
                OperatingSystem.IsWindows() ? Environment.SpecialFolder.LocalApplicationData : Environment.SpecialFolder.UserProfile);
            cache = home.Length == 0 ? Path.GetTempPath() : OperatingSystem.IsWindows() ? home : Path.Combine(home, ".cache");
        }

        return Path.Combine(cache, "torchao", "cubins");
    }

    // File: hash of the code, then the code.
    private byte[]? Read(string path)
    {
        try
        {
            if (!File.Exists(path))
            {
                return null;
            }

            byte[] file = File.ReadAllBytes(path);
            if (file.Length > HashBytes && SHA256.HashData(file.AsSpan(HashBytes)).AsSpan().SequenceEqual(file.AsSpan(0, HashBytes)))
            {
                File.SetLastWriteTimeUtc(path, DateTime.UtcNow); // used now, so it is not the oldest
                return file[HashBytes..];
            }

            Interlocked.Increment(ref damaged);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            trouble = e.Message; // another process may have removed it; the kernel is compiled, and the report says why
        }

        return null;
    }

    private void Write(string path, ReadOnlySpan<byte> code)
    {
        string partial = Path.Combine(folder!, $".{Guid.NewGuid():n}.partial");
        try
        {
            Directory.CreateDirectory(folder!);
            using (FileStream file = File.Create(partial))
            {
                file.Write(SHA256.HashData(code));
                file.Write(code);
            }

            File.Move(partial, path, overwrite: true);
            RemoveOldest();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            trouble = e.Message; // a launch does not fail for the lack of a cache; the report says that there is none
        }
    }

    private void RemoveOldest()
    {
        DateTime abandoned = DateTime.UtcNow - AbandonedAfter;
        foreach (FileInfo partial in new DirectoryInfo(folder!).EnumerateFiles(".*.partial").Where(file => file.LastWriteTimeUtc < abandoned))
        {
            partial.Delete();
        }

        FileInfo[] newestFirst = [.. new DirectoryInfo(folder!).EnumerateFiles("*.cubin").OrderByDescending(file => file.LastWriteTimeUtc)];
        long bytes = 0;
        foreach (FileInfo file in newestFirst)
        {
            bytes += file.Length;
            if (bytes > limit)
            {
                file.Delete();
            }
        }
    }
}
