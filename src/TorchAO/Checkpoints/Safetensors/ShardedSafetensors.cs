using static TorchSharp.torch;

namespace TorchAO.Checkpoints.Safetensors;

/// <summary>A checkpoint in several safetensors files with an index, as Hugging Face folders have it; verified when it is opened.</summary>
/// <remarks>
/// The index is a JSON object: <c>weight_map</c> from each tensor to its file, and <c>metadata</c> with the <c>total_size</c> of
/// all tensors in bytes. All files stay open; their tensors are read one at a time.
/// </remarks>
public sealed class ShardedSafetensors : ITensorSource
{
    /// <summary>The usual name of an index.</summary>
    public const string IndexName = "model.safetensors.index.json";

    private const string Remedy = "The folder was not fetched whole, or mixes two checkpoints: fetch it again.";

    private readonly Dictionary<string, SafetensorsFile> shards;
    private readonly Dictionary<string, SafetensorsFile> byTensor = new(StringComparer.Ordinal);

    private ShardedSafetensors(string path, Dictionary<string, SafetensorsFile> shards, IReadOnlyDictionary<string, string> map)
    {
        Path = path;
        this.shards = shards;
        foreach ((string tensor, string shard) in map)
        {
            byTensor.Add(tensor, shards[shard]);
        }

        Tensors = [.. shards.OrderBy(shard => shard.Key, StringComparer.Ordinal).SelectMany(shard => shard.Value.Tensors)];
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Gets the count of files.</summary>
    public int Shards => shards.Count;

    /// <summary>Opens an index and all its files, and verifies that they say the same. The caller disposes the source.</summary>
    /// <param name="path">The index, such as <c>model.safetensors.index.json</c>.</param>
    /// <exception cref="CheckpointException">The index or a file lies, a file is missing or lies outside of the folder, a tensor is
    /// in none or in two files, or the sizes do not add up.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static ShardedSafetensors Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        CheckpointJson json = CheckpointJson.Parse(path, File.ReadAllBytes(path));
        CheckpointJson names = json.Object("weight_map");
        var map = names.Names.ToDictionary(tensor => tensor, names.Text, StringComparer.Ordinal);
        var shards = new Dictionary<string, SafetensorsFile>(StringComparer.Ordinal);
        try
        {
            foreach (string shard in map.Values.Distinct(StringComparer.Ordinal))
            {
                shards.Add(shard, OpenShard(path, shard));
            }

            RequireTensors(path, map, shards);
            RequireTotal(path, json, shards);
            return new ShardedSafetensors(path, shards, map);
        }
        catch
        {
            foreach (SafetensorsFile shard in shards.Values)
            {
                shard.Dispose();
            }

            throw;
        }
    }

    /// <inheritdoc/>
    public bool Contains(string name) => byTensor.ContainsKey(name);

    /// <inheritdoc/>
    public TensorInfo Describe(string name) => Shard(name).Describe(name);

    /// <inheritdoc/>
    public Tensor Read(string name) => Shard(name).Read(name);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SafetensorsFile shard in shards.Values)
        {
            shard.Dispose();
        }
    }

    // A link is followed, as the caches of fetching tools make them; a name that leaves the folder is not.
    private static SafetensorsFile OpenShard(string index, string shard)
    {
        if (shard.Length == 0 || shard is "." or ".." || shard.AsSpan().IndexOfAny('/', '\\', ':') >= 0 || shard.Contains('\0'))
        {
            throw Lie(
                CheckpointError.ShardOutsideFolder, index, "a file of the index is not named as one beside it",
                CheckpointException.Quote(shard), "a file name without a folder");
        }

        string path = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(index))!, shard);
        return File.Exists(path)
            ? SafetensorsFile.Open(path)
            : throw Lie(CheckpointError.MissingShard, index, "a file of the index is not there", $"no {shard}", "it beside the index");
    }

    private static void RequireTensors(string index, Dictionary<string, string> map, Dictionary<string, SafetensorsFile> shards)
    {
        var seen = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string shard, SafetensorsFile file) in shards)
        {
            foreach (SafetensorsEntry entry in file.Entries)
            {
                string where = $"{index}: tensor {CheckpointException.Quote(entry.Name)}";
                if (!seen.TryAdd(entry.Name, shard))
                {
                    throw Lie(
                        CheckpointError.TensorInTwoShards, where, "two files hold the tensor", $"{seen[entry.Name]} and {shard}",
                        "one of them");
                }

                if (!map.ContainsKey(entry.Name))
                {
                    throw Lie(CheckpointError.UnexpectedTensor, where, $"{shard} holds a tensor that is not listed", "no entry", "one");
                }
            }
        }

        foreach ((string tensor, string shard) in map)
        {
            if (!shards[shard].Contains(tensor))
            {
                throw Lie(
                    CheckpointError.ListedTensorAbsent, $"{index}: tensor {CheckpointException.Quote(tensor)}",
                    "the file that should hold a tensor does not", $"none in {shard}",
                    seen.TryGetValue(tensor, out string? holder) ? $"an entry for {holder}, which holds it" : "the tensor there");
            }
        }
    }

    private static void RequireTotal(string index, CheckpointJson json, Dictionary<string, SafetensorsFile> shards)
    {
        if (!json.Has("metadata") || !json.Object("metadata").Has("total_size"))
        {
            return;
        }

        double total = json.Object("metadata").Number("total_size");
        long bytes = shards.Values.SelectMany(file => file.Entries).Sum(entry => entry.Bytes);
        if (total != bytes)
        {
            throw Lie(
                CheckpointError.TotalSizeMismatch, index, "the tensors are not as large as the index says", $"{bytes} bytes",
                $"total_size {total:0}");
        }
    }

    private SafetensorsFile Shard(string name) => byTensor.TryGetValue(name, out SafetensorsFile? shard)
        ? shard
        : throw new CheckpointException(
            CheckpointError.TensorNotFound, Path, "no file of the index has such a tensor", CheckpointException.Quote(name),
            $"one of its {byTensor.Count} names; near: {NearNames.List(name, byTensor.Keys)}", "Check the model's configuration.");

    private static CheckpointException Lie(CheckpointError error, string where, string what, string got, string expected) =>
        new(error, where, what, got, expected, Remedy);
}
