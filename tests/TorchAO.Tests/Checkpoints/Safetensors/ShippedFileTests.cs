using System.Buffers.Binary;
using System.Text.Json;
using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using TorchAO.Runtime.Memory;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Checkpoints.Safetensors;

public sealed class ShippedFileTests
{
    public static TheoryData<string> ShippedFiles =>
    [
        "assets/stories260k/model.safetensors", "assets/babyllama105/model.safetensors",
        .. "ABCDEFGHI".Select(area => $"tests/goldens/{area}.safetensors"),
    ];

    [Theory]
    [MemberData(nameof(ShippedFiles))]
    public void Every_tensor_of_a_shipped_file_has_the_bytes_and_shape_that_a_document_model_finds(string relative)
    {
        string path = RepositoryFiles.Path(relative);
        byte[] bytes = File.ReadAllBytes(path);
        int headerBytes = checked((int)BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        using var header = JsonDocument.Parse(bytes.AsMemory(8, headerBytes));

        long before = LiveTensors.Count();
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            int seen = 0;
            foreach (JsonProperty property in header.RootElement.EnumerateObject())
            {
                if (property.Name == "__metadata__")
                {
                    Assert.Equal("pt", file.Metadata["format"]);
                    continue;
                }

                int begin = 8 + headerBytes + property.Value.GetProperty("data_offsets")[0].GetInt32();
                int end = 8 + headerBytes + property.Value.GetProperty("data_offsets")[1].GetInt32();
                using Tensor tensor = file.Read(property.Name);
                Assert.Equal(property.Value.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64()), tensor.shape);
                Assert.True(tensor.bytes.SequenceEqual(bytes.AsSpan(begin..end)), property.Name);
                using Tensor mapped = file.Map(property.Name);
                Assert.Equal(tensor.shape, mapped.shape);
                Assert.True(mapped.bytes.SequenceEqual(bytes.AsSpan(begin..end)), property.Name);
                seen++;
            }

            Assert.Equal(seen, file.Entries.Count);
        }

        Assert.Equal(before, LiveTensors.Count());
    }

    [Fact]
    public void A_misspelt_name_is_answered_with_near_names()
    {
        using SafetensorsFile file = SafetensorsFile.Open(RepositoryFiles.Path("assets/stories260k/model.safetensors"));

        CheckpointException error = Assert.Throws<CheckpointException>(() => file["model.norm.weigth"]);

        Assert.Equal(CheckpointError.TensorNotFound, error.Error);
        Assert.Contains("model.norm.weight", error.Message, StringComparison.Ordinal);
        Assert.False(file.Contains("model.norm.weigth"));
    }

    [Fact]
    public void A_disposed_file_reads_no_more()
    {
        SafetensorsFile file = SafetensorsFile.Open(RepositoryFiles.Path("assets/stories260k/model.safetensors"));
        file.Dispose();

        Assert.Throws<ObjectDisposedException>(() => file.Read("model.norm.weight"));
        Assert.Throws<ObjectDisposedException>(() => file.Map("model.norm.weight"));
    }

    [Fact]
    public void A_mapped_tensor_outlives_its_file_and_costs_no_copy()
    {
        SafetensorsFile file = SafetensorsFile.Open(RepositoryFiles.Path("assets/stories260k/model.safetensors"));
        using Tensor first = file.Map("model.norm.weight");
        using Tensor second = file.Map("model.norm.weight");
        using Tensor copy = file.Read("model.norm.weight");
        file.Dispose();

        Assert.Equal(TensorMemory.DeviceAddress(first), TensorMemory.DeviceAddress(second));
        Assert.True(first.bytes.SequenceEqual(copy.bytes));
    }
}
