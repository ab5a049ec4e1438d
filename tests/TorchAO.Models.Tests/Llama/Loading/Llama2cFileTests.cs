using System.Buffers.Binary;
using TorchAO.Checkpoints;
using TorchAO.Models.Llama.Loading;
using TorchAO.Tests;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama.Loading;

public sealed class Llama2cFileTests
{
    private static readonly string Stories = RepositoryFiles.Path("assets/stories260k/stories260K.bin");

    [Fact]
    public void The_original_file_holds_the_weights_of_the_converted_one()
    {
        using var original = Llama2cFile.Open(Stories);
        using ITensorSource converted = LlamaLoader.OpenWeights(RepositoryFiles.Path("assets/stories260k"));

        Assert.Equal(
            converted.Tensors.Select(tensor => tensor.Name).Order(), original.Tensors.Select(tensor => tensor.Name).Order());
        foreach (TensorInfo info in original.Tensors)
        {
            using Tensor expected = converted.Read(info.Name);
            using Tensor got = original.Read(info.Name);
            Assert.True(expected.bytes.SequenceEqual(got.bytes), info.Name);
        }
    }

    [Fact]
    public void The_original_file_tells_the_shape_of_the_converted_model()
    {
        TorchAO.Models.Llama.LlamaConfig expected = LlamaLoader.ReadConfig(RepositoryFiles.Path("assets/stories260k"));
        TorchAO.Models.Llama.LlamaConfig got = LlamaLoader.ReadConfig(Stories);
        Assert.Equal(expected.EosTokenIds, got.EosTokenIds);
        Assert.Equal(expected with { EosTokenIds = [] }, got with { EosTokenIds = [] });
    }

    [Fact]
    public void A_negative_vocabulary_says_that_the_head_has_weights_of_its_own()
    {
        byte[] bytes = File.ReadAllBytes(Stories);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(20), -512);
        byte[] head = new byte[512 * 64 * 4];
        new Random(5).NextBytes(head);
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("untied.bin"), [.. bytes, .. head]);

        using var file = Llama2cFile.Open(folder.File("untied.bin"));

        Assert.False(file.Config.IsTied);
        using Tensor read = file.Read("lm_head.weight");
        Assert.True(read.bytes.SequenceEqual(head));
    }

    [Theory]
    [InlineData(10, CheckpointError.FileTooShort, "at least 28")]
    [InlineData(28, CheckpointError.FileTooShort, "1056540")]
    [InlineData(1056539, CheckpointError.FileTooShort, "1056540")]
    [InlineData(1056544, CheckpointError.TrailingBytes, "1056540")]
    public void A_file_of_another_length_is_refused(int length, CheckpointError error, string said)
    {
        byte[] bytes = File.ReadAllBytes(Stories);
        Array.Resize(ref bytes, length);
        AssertLie(bytes, error, said);
    }

    [Theory]
    [InlineData(0, -64)]
    [InlineData(0, 63)]
    [InlineData(2, 0)]
    [InlineData(3, 7)]
    [InlineData(4, 3)]
    [InlineData(5, int.MinValue)]
    [InlineData(6, int.MaxValue)]
    public void A_header_without_sense_is_refused(int field, int value)
    {
        byte[] bytes = File.ReadAllBytes(Stories);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(field * 4), value);
        AssertLie(bytes, CheckpointError.InvalidField, $"{value}");
    }

    [Fact]
    public void A_newer_version_is_named()
    {
        byte[] bytes = File.ReadAllBytes(Stories);
        BinaryPrimitives.WriteInt32LittleEndian(bytes, 0x616b3432);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), 2);
        AssertLie(bytes, CheckpointError.UnsupportedModel, "version 2");
    }

    [Fact]
    public void A_name_that_the_model_does_not_have_is_refused()
    {
        using var file = Llama2cFile.Open(Stories);
        CheckpointException error = Assert.Throws<CheckpointException>(() => file.Read("model.layers.5.mlp.up_proj.weight"));
        Assert.Equal(CheckpointError.TensorNotFound, error.Error);
        Assert.Contains("layers.5", error.Message, StringComparison.Ordinal);
    }

    private static void AssertLie(byte[] bytes, CheckpointError error, string said)
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("model.bin");
        File.WriteAllBytes(path, bytes);
        CheckpointException lie = Assert.Throws<CheckpointException>(() => Llama2cFile.Open(path));
        Assert.Equal(error, lie.Error);
        Assert.Contains(path, lie.Message, StringComparison.Ordinal);
        Assert.Contains(said, lie.Message, StringComparison.Ordinal);
    }
}
