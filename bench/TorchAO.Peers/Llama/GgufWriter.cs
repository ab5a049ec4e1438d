using System.Text;

namespace TorchAO.Peers.Llama;

/// <summary>Writes a GGUF file, version 3: metadata, descriptions of tensors, then their data at multiples of 32 bytes.</summary>
internal sealed class GgufWriter
{
    private const uint Magic = 0x46554747; // "GGUF"
    private const uint Version = 3;
    private const uint CountType = 4, NumberType = 6, TextType = 8; // uint32, float32, string
    private const int Alignment = 32;

    private readonly List<Action<BinaryWriter>> metadata = [];
    private readonly List<(string Name, long[] Shape, Ggml.GgmlType Type, long Bytes, Action<Stream> Write)> tensors = [];

    /// <summary>Adds a count.</summary>
    public void Add(string key, long value) => Add(key, CountType, writer => writer.Write(checked((uint)value)));

    /// <summary>Adds a number.</summary>
    public void Add(string key, double value) => Add(key, NumberType, writer => writer.Write((float)value));

    /// <summary>Adds a text.</summary>
    public void Add(string key, string value) => Add(key, TextType, writer => Text(writer, value));

    /// <summary>Adds a tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="shape">Its shape, rows before columns; the file has the reverse.</param>
    /// <param name="type">How its data are stored.</param>
    /// <param name="bytes">The size of its data.</param>
    /// <param name="write">Writes just these bytes.</param>
    public void Add(string name, long[] shape, Ggml.GgmlType type, long bytes, Action<Stream> write) =>
        tensors.Add((name, shape, type, bytes, write));

    /// <summary>Writes the file.</summary>
    public void Write(string path)
    {
        using FileStream stream = File.Create(path);
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        writer.Write(Magic);
        writer.Write(Version);
        writer.Write((long)tensors.Count);
        writer.Write((long)metadata.Count);
        metadata.ForEach(entry => entry(writer));
        long offset = 0;
        foreach ((string name, long[] shape, Ggml.GgmlType type, long bytes, _) in tensors)
        {
            Text(writer, name);
            writer.Write(shape.Length);
            foreach (long size in shape.Reverse())
            {
                writer.Write(size);
            }

            writer.Write((uint)type);
            writer.Write(offset);
            offset = Align(offset + bytes);
        }

        Pad(writer);
        foreach ((string name, _, _, long bytes, Action<Stream> write) in tensors)
        {
            long begin = stream.Position;
            write(stream);
            if (stream.Position - begin != bytes)
            {
                throw new InvalidOperationException($"{name}: {stream.Position - begin} bytes were written, expected {bytes}.");
            }

            Pad(writer);
        }
    }

    private void Add(string key, uint type, Action<BinaryWriter> value) => metadata.Add(writer =>
    {
        Text(writer, key);
        writer.Write(type);
        value(writer);
    });

    private static long Align(long position) => (position + Alignment - 1) / Alignment * Alignment;

    private static void Pad(BinaryWriter writer)
    {
        writer.Flush();
        long position = writer.BaseStream.Position;
        writer.Write(new byte[Align(position) - position]);
        writer.Flush();
    }

    private static void Text(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((long)bytes.Length);
        writer.Write(bytes);
    }
}
