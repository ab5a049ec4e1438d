using TorchAO.Runtime.Cuda;
using Xunit;

namespace TorchAO.Runtime.Tests.Cuda;

/// <summary>The cache over a compiler that only counts: what is kept, found, thrown away and told.</summary>
public sealed class CubinCacheTests : IDisposable
{
    private static readonly CudaSource Source = CudaSource.FromText("first.cu", "int first();");

    private readonly string folder = Path.Combine(Directory.CreateTempSubdirectory("torchao-cubins").FullName, "cubins");
    private int compiled;

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(folder)!, recursive: true);

    [Fact]
    public void What_one_process_compiled_the_next_one_finds()
    {
        byte[] first = Make().GetOrCompile(Source, "sm_90a").Code.ToArray();
        CubinCache next = Make();

        Assert.Equal(first, next.GetOrCompile(Source, "sm_90a").Code.ToArray());

        Assert.Equal(1, compiled);
        Assert.Equal(new CubinCacheReport(folder, 1, 0, 0, null), next.Report);
    }

    [Fact]
    public void Whatever_changes_the_result_changes_the_key()
    {
        var compiler = new Version(13, 0);
        string[] keys =
        [
            Source.Key("sm_90a", compiler),
            Source.Key("sm_80", compiler),
            Source.Key("sm_90a", new Version(12, 9)),
            Source.With("-DN=1").Key("sm_90a", compiler),
            Source.With("-DN=", "1").Key("sm_90a", compiler),
            CudaSource.FromText("first.cu", "int second();").Key("sm_90a", compiler),
            CudaSource.FromText("second.cu", "int first();").Key("sm_90a", compiler),
        ];

        Assert.Equal(keys.Length, keys.Distinct().Count());
        Assert.Equal(keys[0], CudaSource.FromText("first.cu", "int first();").Key("sm_90a", compiler));
        Assert.All(keys, key => Assert.Matches("^[0-9a-f]{64}$", key));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    [InlineData(32)]
    [InlineData(-1)]
    [InlineData(-40)]
    public void A_damaged_file_is_compiled_anew_and_told(int length)
    {
        Make().GetOrCompile(Source, "sm_90a");
        string path = Assert.Single(Directory.GetFiles(folder));
        byte[] file = File.ReadAllBytes(path);
        byte[] damaged = length >= 0 ? file[..length] : file[..];
        if (length < 0)
        {
            damaged[^-length] ^= 1;
        }

        File.WriteAllBytes(path, damaged);
        CubinCache cache = Make();

        byte[] code = cache.GetOrCompile(Source, "sm_90a").Code.ToArray();

        Assert.Equal(file[32..], code);
        Assert.Equal(file, File.ReadAllBytes(path));
        Assert.Equal((0, 1, 1), (cache.Report.Hits, cache.Report.Compilations, cache.Report.Damaged));
    }

    [Fact]
    public void Many_writers_of_one_kernel_leave_one_whole_file()
    {
        byte[][] codes = new byte[64][];
        Parallel.For(0, codes.Length, new ParallelOptions { MaxDegreeOfParallelism = 16 }, i =>
            codes[i] = Make().GetOrCompile(Source, "sm_90a").Code.ToArray());

        Assert.All(codes, code => Assert.Equal(codes[0], code));
        Assert.Single(Directory.GetFiles(folder));
        CubinCache last = Make();
        last.GetOrCompile(Source, "sm_90a");
        Assert.Equal((1, 0), (last.Report.Hits, last.Report.Damaged));
    }

    [Fact]
    public void The_oldest_go_when_all_exceed_the_limit()
    {
        // Each file has 1,032 bytes: three fit.
        CubinCache cache = Make(limit: 3 * 1032);
        string[] paths = [.. Enumerable.Range(0, 5).Select(i =>
        {
            CudaSource source = Source.With($"-DN={i}");
            cache.GetOrCompile(source, "sm_90a");
            string path = cache.PathOf(source.Key("sm_90a", new Version(13, 0)));
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddMinutes(i - 10));
            return path;
        })];

        Assert.Equal([false, false, true, true, true], paths.Select(File.Exists));
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_told_and_hinders_no_launch()
    {
        File.WriteAllText(folder, "a file where the folder should be");
        CubinCache cache = Make();

        Assert.Equal(1000, cache.GetOrCompile(Source, "sm_90a").Code.Length);

        Assert.Contains(folder, cache.Report.Trouble, StringComparison.Ordinal);
        Assert.Equal(1, cache.Report.Compilations);
    }

    [Fact]
    public void Without_a_folder_it_only_compiles()
    {
        var cache = new CubinCache(null, 0, Compile) { CompilerVersion = () => new Version(13, 0) };

        cache.GetOrCompile(Source, "sm_90a");
        cache.GetOrCompile(Source, "sm_90a");

        Assert.Equal(new CubinCacheReport(null, 0, 2, 0, null), cache.Report);
    }

    private CubinCache Make(long limit = 1 << 20) => new(folder, limit, Compile) { CompilerVersion = () => new Version(13, 0) };

    private CudaBinary Compile(CudaSource source, string architecture)
    {
        Interlocked.Increment(ref compiled);
        byte[] code = new byte[1000];
        Array.Fill(code, (byte)source.Options.Count);
        return new CudaBinary(architecture, code, "");
    }
}
