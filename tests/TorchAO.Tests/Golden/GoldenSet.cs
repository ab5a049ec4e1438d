using System.Buffers.Binary;
using System.Text.Json;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden;

/// <summary>A folder of golden vectors: <c>index.json</c> and one safetensors file an area.</summary>
internal sealed class GoldenSet
{
    private readonly string folder;
    private readonly Dictionary<string, string> files;
    private readonly Dictionary<string, (JsonElement Header, byte[] Bytes, int Start)> opened = [];

    /// <summary>Reads the index of a folder; tensors are read when they are asked for.</summary>
    public GoldenSet(string folder)
    {
        this.folder = folder;
        using FileStream stream = File.OpenRead(Path.Combine(folder, "index.json"));
        using var document = JsonDocument.Parse(stream);
        JsonElement root = document.RootElement;
        files = root.GetProperty("tensor_files").EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString()!);
        Cases = [.. root.GetProperty("cases").EnumerateArray().Select(ReadCase)];
    }

    /// <summary>The set that the environment names (<c>TORCHAO_GOLDEN_DIR</c>), else the one in the
    /// repository.</summary>
    public static GoldenSet Current { get; } = new(FindFolder());

    /// <summary>The folder with the files.</summary>
    public string Folder => folder;

    public IReadOnlyList<GoldenCase> Cases { get; }

    public GoldenCase this[string id] => Cases.Single(c => c.Id == id);

    /// <summary>Reads a tensor; the current dispose scope owns it.</summary>
    public Tensor Read(string area, GoldenTensor tensor)
    {
        (JsonElement header, byte[] bytes, int start) = Open(area);
        JsonElement entry = header.GetProperty(tensor.Key);
        long[] shape = [.. entry.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())];
        int from = start + entry.GetProperty("data_offsets")[0].GetInt32();
        int to = start + entry.GetProperty("data_offsets")[1].GetInt32();
        ScalarType dtype = GoldenDtype.Parse(tensor.LogicalDtype ?? entry.GetProperty("dtype").GetString()!);
        Tensor result = empty(shape, dtype: dtype);
        if (to > from)
        {
            bytes.AsSpan(from, to - from).CopyTo(result.bytes);
        }

        return result;
    }

    private (JsonElement Header, byte[] Bytes, int Start) Open(string area)
    {
        lock (opened)
        {
            if (!opened.TryGetValue(area, out (JsonElement Header, byte[] Bytes, int Start) file))
            {
                byte[] bytes = File.ReadAllBytes(Path.Combine(folder, files[area]));
                int length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
                file = (JsonElement.Parse(bytes.AsSpan(8, length)), bytes, 8 + length);
                opened.Add(area, file);
            }

            return file;
        }
    }

    private static string FindFolder()
    {
        if (Environment.GetEnvironmentVariable("TORCHAO_GOLDEN_DIR") is { Length: > 0 } given)
        {
            return given;
        }

        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            string candidate = Path.Combine(at.FullName, "tests", "goldens");
            if (File.Exists(Path.Combine(candidate, "index.json")))
            {
                return candidate;
            }
        }

        throw new DirectoryNotFoundException(
            $"No folder tests/goldens with an index.json above {AppContext.BaseDirectory}. Set TORCHAO_GOLDEN_DIR.");
    }

    private static GoldenCase ReadCase(JsonElement entry) => new(
        entry.GetProperty("id").GetString()!,
        entry.GetProperty("call").GetString()!,
        entry.GetProperty("params").Clone(),
        ReadTensors(entry.GetProperty("inputs")),
        ReadTensors(entry.GetProperty("outputs")),
        entry.TryGetProperty("expect_error", out JsonElement error) ? error.GetProperty("message").GetString() : null,
        entry.TryGetProperty("device", out JsonElement device) ? device.GetString()! : "cpu");

    private static Dictionary<string, GoldenTensor> ReadTensors(JsonElement entries) =>
        entries.EnumerateObject().ToDictionary(
            entry => entry.Name,
            entry => new GoldenTensor(
                entry.Value.GetProperty("tensor").GetString()!,
                entry.Value.TryGetProperty("dtype", out JsonElement dtype) ? dtype.GetString() : null,
                entry.Value.TryGetProperty("tol", out JsonElement tolerance)
                    ? ReadTolerance(tolerance)
                    : GoldenTolerance.Exact));

    private static GoldenTolerance ReadTolerance(JsonElement entry)
    {
        return new GoldenTolerance(
            entry.GetProperty("mode").GetString()!,
            Number("rtol"),
            Number("atol"),
            Number("max_abs_diff"),
            Number("max_mismatch_frac"),
            Number("min_db"));

        double Number(string name) => entry.TryGetProperty(name, out JsonElement value) ? value.GetDouble() : 0;
    }
}
