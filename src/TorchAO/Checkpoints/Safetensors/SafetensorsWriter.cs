using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Checkpoints.Safetensors;

/// <summary>Writes a safetensors file tensor by tensor, so that a model larger than memory can pass through.</summary>
/// <remarks>
/// Names, types and shapes are declared first, because the header stands first. Tensors may then come in any order; the file
/// appears under its name with <see cref="Commit"/> alone, whole and flushed to the disk.
/// </remarks>
public sealed class SafetensorsWriter : IDisposable
{
    private const int HeaderAlignment = 8;
    private const int ChunkBytes = 1 << 28;

    private readonly AtomicFile file;
    private readonly Dictionary<string, SafetensorsEntry> waiting;
    private readonly long dataAt;

    /// <summary>Begins a file.</summary>
    /// <param name="path">The file to make or to replace.</param>
    /// <param name="tensors">All tensors that the file will hold.</param>
    /// <param name="metadata">Texts for the header.</param>
    /// <exception cref="ArgumentException">A name stands twice or is reserved, or the format has no such type.</exception>
    /// <exception cref="IOException">The file cannot be made.</exception>
    public SafetensorsWriter(
        string path, IEnumerable<TensorInfo> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(tensors);
        Path = path;
        SafetensorsEntry[] entries = Place(tensors);
        waiting = new Dictionary<string, SafetensorsEntry>(StringComparer.Ordinal);
        foreach (SafetensorsEntry entry in entries)
        {
            if (entry.Name == SafetensorsHeader.MetadataKey || !waiting.TryAdd(entry.Name, entry))
            {
                throw new ArgumentException($"tensor '{entry.Name}': the name stands twice or is reserved; rename it.", nameof(tensors));
            }
        }

        byte[] header = Header(entries, metadata ?? new Dictionary<string, string>());
        dataAt = sizeof(ulong) + header.Length;
        file = new AtomicFile(path, dataAt + entries.Select(entry => entry.End).DefaultIfEmpty(0).Last());
        try
        {
            byte[] length = new byte[sizeof(ulong)];
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
            RandomAccess.Write(file.Handle, length, 0);
            RandomAccess.Write(file.Handle, header, sizeof(ulong));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Gets the path under which the file will appear.</summary>
    public string Path { get; }

    /// <summary>Writes one tensor, from any device and with any strides.</summary>
    /// <exception cref="ArgumentException">The tensor was not declared so, or was written before.</exception>
    /// <exception cref="IOException">The disk refuses; nothing appears under the path.</exception>
    public void Write(string name, Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (!waiting.TryGetValue(name, out SafetensorsEntry? entry))
        {
            throw new ArgumentException($"tensor '{name}' was not declared, or was written before.", nameof(name));
        }

        if (SafetensorsDType.TypeOf(entry.DType) != tensor.dtype || !entry.Shape.AsSpan().SequenceEqual(tensor.shape))
        {
            throw new ArgumentException(
                $"tensor '{name}': got {tensor.dtype} [{string.Join(", ", tensor.shape)}], declared as {entry}.", nameof(tensor));
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor flat = tensor.detach().cpu().contiguous().view(-1);
        int elementBytes = SafetensorsDType.BytesOf(entry.DType);
        for (long done = 0; done < entry.Bytes; done += ChunkBytes)
        {
            long chunk = Math.Min(ChunkBytes, entry.Bytes - done);
            using Tensor part = flat.narrow(0, done / elementBytes, chunk / elementBytes);
            RandomAccess.Write(file.Handle, part.bytes, dataAt + entry.Begin + done);
        }

        waiting.Remove(name);
    }

    /// <summary>Puts the file under its name.</summary>
    /// <exception cref="InvalidOperationException">Tensors that were declared have not been written.</exception>
    public void Commit()
    {
        if (waiting.Count > 0)
        {
            throw new InvalidOperationException(
                $"{Path}: {waiting.Count} declared tensors were not written, the first '{waiting.Keys.First()}'; write them all.");
        }

        file.Commit();
    }

    /// <summary>Abandons the file unless it was committed; what stood under its name stays.</summary>
    public void Dispose() => file.Dispose();

    // Wide elements first, so that each tensor begins at a multiple of its element's size.
    private static SafetensorsEntry[] Place(IEnumerable<TensorInfo> tensors)
    {
        long at = 0;
        return
        [
            .. tensors
                .Select(info => (Info: info, DType: SafetensorsDType.NameOf(info.DType) ?? throw new ArgumentException(
                    $"tensor '{info.Name}' is {info.DType}, expected a type that the format holds: " +
                    $"{string.Join(", ", SafetensorsDType.Names)}; convert it.", nameof(tensors))))
                .OrderByDescending(tensor => SafetensorsDType.BytesOf(tensor.DType))
                .ThenBy(tensor => tensor.Info.Name, StringComparer.Ordinal)
                .Select(tensor =>
                {
                    long begin = at;
                    at += tensor.Info.Elements * SafetensorsDType.BytesOf(tensor.DType);
                    return new SafetensorsEntry(tensor.Info.Name, tensor.DType, [.. tensor.Info.Shape], begin, at);
                }),
        ];
    }

    private static byte[] Header(SafetensorsEntry[] entries, IReadOnlyDictionary<string, string> metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject(SafetensorsHeader.MetadataKey);
                foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            foreach (SafetensorsEntry entry in entries)
            {
                json.WriteStartObject(entry.Name);
                json.WriteString("dtype", entry.DType);
                WriteNumbers(json, "shape", entry.Shape);
                WriteNumbers(json, "data_offsets", [entry.Begin, entry.End]);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        int padding = -buffer.WrittenCount & (HeaderAlignment - 1);
        buffer.GetSpan(padding)[..padding].Fill((byte)' ');
        buffer.Advance(padding);
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, long[] numbers)
    {
        json.WriteStartArray(name);
        foreach (long number in numbers)
        {
            json.WriteNumberValue(number);
        }

        json.WriteEndArray();
    }
}
