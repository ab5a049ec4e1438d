using System.Buffers.Binary;
using System.Text.Json;
using CsCheck;
using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using TorchAO.Runtime.Libtorch;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Checkpoints.Safetensors;

public sealed class SafetensorsWriterTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("torchao-").FullName;

    private string Target => Path.Combine(folder, "model.safetensors");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Every_type_and_shape_comes_back_bit_for_bit()
    {
        ScalarType[] types = [.. ScalarTypes.All.Select(info => info.Type)];
        Gen.Select(Gen.Int[0, types.Length - 1].Select(i => types[i]), Gen.Long[0, 5].Array[0, 4], Gen.Int).Array[0, 6].Sample(
            wanted =>
            {
                using DisposeScope scope = NewDisposeScope();
                Dictionary<string, Tensor> tensors = wanted.Select((one, i) => ($"t{i}", Random(one.Item1, one.Item2, one.Item3)))
                    .ToDictionary(pair => pair.Item1, pair => pair.Item2);
                Save(tensors);
                using var file = SafetensorsFile.Open(Target);
                Assert.Equal(tensors.Count, file.Entries.Count);
                foreach ((string name, Tensor tensor) in tensors)
                {
                    using Tensor read = file.Read(name);
                    Assert.Equal(tensor.dtype, read.dtype);
                    Assert.Equal(tensor.shape, read.shape);
                    Assert.True(Bytes(tensor).AsSpan().SequenceEqual(Bytes(read)), $"{name}: {tensor.dtype}");
                }
            },
            iter: 200, threads: 1);
    }

    [Fact]
    public void A_small_independent_reader_agrees()
    {
        using Tensor weight = arange(6, ScalarType.Float32).reshape(2, 3);
        using Tensor turned = weight.transpose(0, 1);
        using Tensor flags = tensor(new byte[] { 1, 2, 3 });
        Save(new() { ["b"] = flags, ["a"] = turned }, new Dictionary<string, string> { ["note"] = "ä \"quoted\"" });

        byte[] bytes = File.ReadAllBytes(Target);
        int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        using JsonDocument header = JsonDocument.Parse(bytes.AsMemory(8, length));
        Assert.Equal(0, (8 + length) % 8);
        Assert.Equal("ä \"quoted\"", header.RootElement.GetProperty("__metadata__").GetProperty("note").GetString());
        JsonElement a = header.RootElement.GetProperty("a");
        Assert.Equal("[3,2]", a.GetProperty("shape").GetRawText());
        Assert.Equal("[0,24]", a.GetProperty("data_offsets").GetRawText());
        Assert.Equal("[24,27]", header.RootElement.GetProperty("b").GetProperty("data_offsets").GetRawText());
        Assert.Equal([0, 3, 1, 4, 2, 5], Enumerable.Range(0, 6).Select(i => BitConverter.ToSingle(bytes, 8 + length + (4 * i))));
        Assert.Equal(8 + length + 27, bytes.Length);
    }

    [Fact]
    public void An_abandoned_file_leaves_the_old_one_and_nothing_else()
    {
        File.WriteAllText(Target, "old");
        using (var writer = new SafetensorsWriter(Target, [new TensorInfo("a", ScalarType.Float32, [4])]))
        {
            using Tensor a = zeros(4);
            writer.Write("a", a);
        }

        Assert.Equal("old", File.ReadAllText(Target));
        Assert.Single(Directory.GetFiles(folder));
    }

    [Fact]
    public void A_file_that_lacks_a_declared_tensor_is_not_committed()
    {
        using var writer = new SafetensorsWriter(Target, [new TensorInfo("a", ScalarType.Float32, [4])]);
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(writer.Commit);
        Assert.Contains("'a'", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Target));
    }

    [Fact]
    public void Two_writers_of_one_file_do_not_mix()
    {
        using var first = new SafetensorsWriter(Target, []);
        Assert.Throws<IOException>(() => new SafetensorsWriter(Target, []));
        first.Commit();
        using var second = new SafetensorsWriter(Target, []);
        second.Commit();
        using var file = SafetensorsFile.Open(Target);
        Assert.Empty(file.Entries);
    }

    [Fact]
    public void What_a_dead_writer_left_is_begun_anew()
    {
        File.WriteAllText(Path.Combine(folder, ".model.safetensors.partial"), new string('x', 100_000));
        using Tensor a = ones(3);
        Save(new() { ["a"] = a });
        using var file = SafetensorsFile.Open(Target);
        Assert.Equal("a: F32 [3]", file.Entries.Single().ToString());
        Assert.Single(Directory.GetFiles(folder));
    }

    [Fact]
    public void Wrong_use_says_what_was_declared()
    {
        using Tensor a = zeros(2, 3);
        using (var writer = new SafetensorsWriter(Target, [new TensorInfo("a", ScalarType.Float32, [3, 2])]))
        {
            ArgumentException error = Assert.Throws<ArgumentException>(() => writer.Write("a", a));
            Assert.Contains("got Float32 [2, 3], declared as a: F32 [3, 2]", error.Message, StringComparison.Ordinal);
            Assert.Throws<ArgumentException>(() => writer.Write("b", a));
        }

        TensorInfo info = new("a", ScalarType.Float32, [1]);
        Assert.Throws<ArgumentException>(() => new SafetensorsWriter(Target, [info, info]));
        Assert.Throws<ArgumentException>(() => new SafetensorsWriter(Target, [info with { Name = "__metadata__" }]));
        Assert.Throws<ArgumentException>(() => new SafetensorsWriter(Target, [info with { DType = ScalarType.ComplexFloat32 }]));
        Assert.Throws<IOException>(() => new SafetensorsWriter(folder, []));
        Assert.Throws<DirectoryNotFoundException>(() => new SafetensorsWriter(Path.Combine(folder, "no", "x"), []));
        Assert.Empty(Directory.GetFiles(folder));
    }

    private static Tensor Random(ScalarType type, long[] shape, int seed)
    {
        Tensor tensor = zeros(shape, type);
        new Random(seed).NextBytes(tensor.bytes);
        if (type == ScalarType.Bool)
        {
            foreach (ref byte value in tensor.bytes)
            {
                value &= 1;
            }
        }

        return tensor;
    }

    private static byte[] Bytes(Tensor tensor) => tensor.numel() == 0 ? [] : tensor.bytes.ToArray();

    private void Save(Dictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        IEnumerable<TensorInfo> declared = tensors.Select(pair => new TensorInfo(pair.Key, pair.Value.dtype, pair.Value.shape));
        using var writer = new SafetensorsWriter(Target, declared, metadata);
        foreach ((string name, Tensor tensor) in tensors)
        {
            writer.Write(name, tensor);
        }

        writer.Commit();
    }
}
