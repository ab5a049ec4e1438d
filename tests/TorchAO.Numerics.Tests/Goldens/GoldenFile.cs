using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace TorchAO.Numerics.Tests.Goldens;

/// <summary>Tensors of one area of the golden vectors, as raw bytes. The files are trusted: nothing is checked.</summary>
/// <remarks>Always those of the repository, since the tests name their cases; the runner of TorchAO.Tests takes any set.</remarks>
internal sealed class GoldenFile
{
    private static readonly Lazy<Dictionary<string, JsonElement>> Cases = new(ReadCases);

    private readonly byte[] _file;
    private readonly JsonElement _header;
    private readonly int _data;

    public GoldenFile(string area)
    {
        _file = File.ReadAllBytes(Path.Combine(Folder(), $"{area}.safetensors"));
        int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(_file);
        using JsonDocument header = JsonDocument.Parse(Encoding.UTF8.GetString(_file, 8, length));
        _header = header.RootElement.Clone();
        _data = 8 + length;
    }

    public byte[] Bytes(string tensor)
    {
        JsonElement offsets = _header.GetProperty(tensor).GetProperty("data_offsets");
        return _file[(_data + offsets[0].GetInt32())..(_data + offsets[1].GetInt32())];
    }

    public float[] Floats(string tensor) => MemoryMarshal.Cast<byte, float>(Bytes(tensor)).ToArray();

    public int[] Shape(string tensor) =>
        [.. _header.GetProperty(tensor).GetProperty("shape").EnumerateArray().Select(size => size.GetInt32())];

    /// <summary>The tensor key of an input or output of a case; equal tensors are stored once, under one of their names.</summary>
    public static string Key(string id, string side, string name) =>
        Cases.Value[id].GetProperty(side).GetProperty(name).GetProperty("tensor").GetString()!;

    private static Dictionary<string, JsonElement> ReadCases()
    {
        using JsonDocument index = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder(), "index.json")));
        return index.RootElement.Clone().GetProperty("cases").EnumerateArray()
            .ToDictionary(one => one.GetProperty("id").GetString()!);
    }

    private static string Folder()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            string folder = Path.Combine(at.FullName, "tests", "goldens");
            if (File.Exists(Path.Combine(folder, "index.json")))
            {
                return folder;
            }
        }

        throw new DirectoryNotFoundException($"No tests/goldens above {AppContext.BaseDirectory}.");
    }
}
