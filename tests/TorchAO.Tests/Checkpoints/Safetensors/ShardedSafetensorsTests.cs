using System.Text.Json.Nodes;
using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Checkpoints.Safetensors;

public sealed class ShardedSafetensorsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string Index => folder.File(ShardedSafetensors.IndexName);

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Tensors_of_all_shards_are_read_by_name()
    {
        Write(("a", "1"), ("b", "2"), ("c", "1"));
        using var source = ShardedSafetensors.Open(Index);

        Assert.Equal(2, source.Shards);
        Assert.Equal(["a", "b", "c"], source.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal));
        Assert.True(source.Contains("b"));
        Assert.Equal("b: Float32 [2, 3]", source.Describe("b").ToString());
        using Tensor b = source.Read("b");
        Assert.Equal('b', b[0, 0].item<float>());
        Assert.Contains("near: 'a'", Refused(CheckpointError.TensorNotFound, () => source.Read("aa")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_link_to_a_file_elsewhere_is_followed()
    {
        using var cache = new TemporaryFolder();
        Write(("a", "1"));
        File.Move(folder.File("1"), cache.File("blob"));
        File.CreateSymbolicLink(folder.File("1"), cache.File("blob"));
        using var source = ShardedSafetensors.Open(Index);
        source.Read("a").Dispose();
    }

    [Theory]
    [InlineData("../1")]
    [InlineData("/etc/passwd")]
    [InlineData("sub/1")]
    [InlineData("..\\1")]
    [InlineData("..")]
    [InlineData("")]
    public void A_shard_outside_of_the_folder_is_refused(string shard)
    {
        Write(("a", "1"));
        ChangeMap(map => map["a"] = shard);
        Refused(CheckpointError.ShardOutsideFolder, Open);
    }

    [Fact]
    public void A_missing_shard_is_named()
    {
        Write(("a", "1"), ("b", "2"));
        File.Delete(folder.File("2"));
        Assert.Contains("no 2", Refused(CheckpointError.MissingShard, Open), StringComparison.Ordinal);
    }

    [Fact]
    public void A_listed_tensor_that_its_shard_lacks_is_named_with_its_holder()
    {
        Write(("a", "1"), ("b", "2"));
        ChangeMap(map => map["a"] = "2");
        ChangeMap(map => map["b"] = "2");
        ChangeMap(map => map["ghost"] = "1");
        Assert.Contains("which holds it", Refused(CheckpointError.ListedTensorAbsent, Open), StringComparison.Ordinal);
        ChangeMap(map => map["a"] = "1");
        Assert.Contains("\"ghost\"", Refused(CheckpointError.ListedTensorAbsent, Open), StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_in_two_shards_is_refused()
    {
        Write(("a", "1"), ("b", "2"));
        File.Copy(folder.File("1"), folder.File("3"));
        ChangeMap(map => map["c"] = "3");
        Assert.Contains("1 and 3", Refused(CheckpointError.TensorInTwoShards, Open), StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_that_is_not_listed_is_refused()
    {
        Write(("a", "1"), ("b", "1"));
        ChangeMap(map => map.Remove("b"));
        Assert.Contains("\"b\"", Refused(CheckpointError.UnexpectedTensor, Open), StringComparison.Ordinal);
    }

    [Fact]
    public void A_total_that_does_not_add_up_is_refused_and_none_is_fine()
    {
        Write(("a", "1"), ("b", "2"));
        Change(json => json["metadata"]!["total_size"] = 47);
        Assert.Contains("got 48 bytes; expected total_size 47", Refused(CheckpointError.TotalSizeMismatch, Open), StringComparison.Ordinal);
        Change(json => json["metadata"]!["total_size"] = 48.0);
        Open();
        Change(json => json.Remove("metadata"));
        Open();
    }

    [Theory]
    [InlineData("{", CheckpointError.InvalidJson)]
    [InlineData("[]", CheckpointError.InvalidField)]
    [InlineData("{}", CheckpointError.MissingField)]
    [InlineData("{\"weight_map\": []}", CheckpointError.InvalidField)]
    [InlineData("{\"weight_map\": {\"a\": 1}}", CheckpointError.InvalidField)]
    [InlineData("{\"weight_map\": {\"a\": \"1\", \"a\": \"2\"}}", CheckpointError.DuplicateKey)]
    public void An_index_that_is_none_is_refused(string text, CheckpointError error)
    {
        Write(("a", "1"));
        File.WriteAllText(Index, text);
        Refused(error, Open);
    }

    [Fact]
    public void A_damaged_shard_keeps_its_own_error()
    {
        Write(("a", "1"), ("b", "2"));
        File.WriteAllBytes(folder.File("2"), File.ReadAllBytes(folder.File("2"))[..^1]);
        Refused(CheckpointError.OffsetsOutsideFile, Open);
    }

    private void Open() => ShardedSafetensors.Open(Index).Dispose();

    private string Refused(CheckpointError error, Action open)
    {
        CheckpointException lie = Assert.Throws<CheckpointException>(open);
        Assert.Equal(error, lie.Error);
        Assert.Contains(folder.Path, lie.Message, StringComparison.Ordinal);
        return lie.Message;
    }

    private void Change(Action<JsonObject> change)
    {
        JsonObject json = JsonNode.Parse(File.ReadAllText(Index))!.AsObject();
        change(json);
        File.WriteAllText(Index, json.ToJsonString());
    }

    private void ChangeMap(Action<JsonObject> change) => Change(json => change(json["weight_map"]!.AsObject()));

    private void Write(params (string Tensor, string Shard)[] tensors)
    {
        var map = new JsonObject();
        foreach (IGrouping<string, (string Tensor, string Shard)> shard in tensors.GroupBy(tensor => tensor.Shard))
        {
            using var writer = new SafetensorsWriter(
                folder.File(shard.Key), shard.Select(tensor => new TensorInfo(tensor.Tensor, ScalarType.Float32, [2, 3])));
            foreach ((string name, string file) in shard)
            {
                using Tensor value = full(2, 3, (float)name[0]);
                writer.Write(name, value);
                map[name] = file;
            }

            writer.Commit();
        }

        File.WriteAllText(Index, new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = 24 * tensors.Length },
            ["weight_map"] = map,
        }.ToJsonString());
    }
}
