using System.Buffers.Binary;
using System.Text.Json;
using TorchAO.Runtime.Libtorch;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats;

/// <summary>One recorded case: parameters, inputs, outputs and the bound of each output.</summary>
internal sealed class GoldenCase(JsonElement json, Func<string, string?, Tensor> load)
{
    public string Id => json.GetProperty("id").GetString()!;

    public JsonElement Params => json.GetProperty("params");

    public JsonElement ConfigArgs => Params.TryGetProperty("config_args", out JsonElement args) ? args : default;

    public IEnumerable<string> Outputs => json.TryGetProperty("outputs", out JsonElement outputs)
        ? outputs.EnumerateObject().Select(property => property.Name)
        : [];

    public bool HasInput(string name) => json.GetProperty("inputs").TryGetProperty(name, out _);

    public Tensor Input(string name) => Load(json.GetProperty("inputs").GetProperty(name));

    public Tensor Output(string name) => Load(json.GetProperty("outputs").GetProperty(name));

    public override string ToString() => Id;

    /// <summary>Demands what the case's tolerance for this output says: equal bytes where it says nothing.</summary>
    public void Check(string name, Tensor actual)
    {
        using DisposeScope scope = NewDisposeScope();
        JsonElement entry = json.GetProperty("outputs").GetProperty(name);
        Tensor expected = Load(entry);
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        Tensor want = expected.to(ScalarType.Float64);
        Tensor got = actual.to(ScalarType.Float64);
        if (!entry.TryGetProperty("tol", out JsonElement tolerance))
        {
            long different = (want.ne(got)).sum().item<long>();
            Assert.True(different == 0, $"{Id} {name}: {different} of {expected.numel()} differ");
            return;
        }

        Assert.Equal("close", tolerance.GetProperty("mode").GetString());
        Tensor allowed = want.abs() * tolerance.GetProperty("rtol").GetDouble() + tolerance.GetProperty("atol").GetDouble();
        double worst = ((want - got).abs() / allowed).max().item<double>();
        Assert.True(worst <= 1, $"{Id} {name}: off by {worst:g3} times the bound");
    }

    private Tensor Load(JsonElement entry) => load(
        entry.GetProperty("tensor").GetString()!,
        entry.TryGetProperty("dtype", out JsonElement dtype) ? dtype.GetString() : null);
}

/// <summary>The recorded cases of one area.</summary>
internal sealed class GoldenArea
{
    private readonly byte[] bytes;
    private readonly JsonElement header;
    private readonly long dataStart;

    private GoldenArea(string folder, string area)
    {
        bytes = File.ReadAllBytes(Path.Combine(folder, area + ".safetensors"));
        long length = BinaryPrimitives.ReadInt64LittleEndian(bytes);
        header = JsonDocument.Parse(bytes.AsMemory(8, (int)length)).RootElement;
        dataStart = 8 + length;
        JsonElement index = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "index.json"))).RootElement;
        Cases = index.GetProperty("cases").EnumerateArray()
            .Where(item => item.GetProperty("id").GetString()!.StartsWith(area + "/", StringComparison.Ordinal))
            .Select(item => new GoldenCase(item, Load))
            .ToDictionary(item => item.Id);
    }

    public static GoldenArea B { get; } = new(Folder(), "B");

    public IReadOnlyDictionary<string, GoldenCase> Cases { get; }

    private static string Folder()
    {
        string? given = Environment.GetEnvironmentVariable("TORCHAO_GOLDEN_DIR");
        if (given is not null)
        {
            return given;
        }

        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder!.FullName, "TorchAO.slnx")))
        {
            folder = folder.Parent;
        }

        return Path.Combine(folder.FullName, "tests", "goldens");
    }

    private Tensor Load(string key, string? logicalType)
    {
        JsonElement entry = header.GetProperty(key);
        long[] shape = [.. entry.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())];
        long[] range = [.. entry.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt64())];
        ScalarType type = logicalType switch
        {
            "float8_e4m3fn" => ScalarTypes.Float8E4M3,
            "float8_e5m2" => ScalarTypes.Float8E5M2,
            _ => ScalarTypes.Named(entry.GetProperty("dtype").GetString()!)!.Type,
        };
        Tensor tensor = empty(shape, dtype: type);
        bytes.AsSpan((int)(dataStart + range[0]), (int)(range[1] - range[0])).CopyTo(tensor.bytes);
        return tensor;
    }
}
