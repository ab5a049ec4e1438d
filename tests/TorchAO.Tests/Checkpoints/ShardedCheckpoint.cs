using System.Text.Json.Nodes;
using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Tests.Checkpoints;

/// <summary>Writes checkpoints of linear layers in shards, one tensor in memory at a time.</summary>
internal static class ShardedCheckpoint
{
    /// <summary>Writes layers <c>0.weight</c>, <c>1.weight</c>, … of one size.</summary>
    /// <returns>The path of the index.</returns>
    public static string Write(string folder, int layers, long width, ScalarType dtype, int shards)
    {
        var map = new JsonObject();
        for (int shard = 0; shard < shards; shard++)
        {
            string name = $"model-{shard + 1:00000}-of-{shards:00000}.safetensors";
            TensorInfo[] tensors =
            [
                .. Enumerable.Range(0, layers).Where(layer => layer % shards == shard)
                    .Select(layer => new TensorInfo($"{layer}.weight", dtype, [width, width])),
            ];
            using var writer = new SafetensorsWriter(Path.Combine(folder, name), tensors);
            foreach (TensorInfo tensor in tensors)
            {
                using Tensor noise = randn(width, width);
                using Tensor weight = noise.to(dtype);
                writer.Write(tensor.Name, weight);
                map[tensor.Name] = name;
            }

            writer.Commit();
        }

        string index = Path.Combine(folder, ShardedSafetensors.IndexName);
        File.WriteAllText(index, new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = layers * width * width * ScalarTypes.Of(dtype).Bytes },
            ["weight_map"] = map,
        }.ToJsonString());
        return index;
    }
}
