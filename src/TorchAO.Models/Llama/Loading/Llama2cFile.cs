using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using TorchAO.Checkpoints;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama.Loading;

/// <summary>A checkpoint of llama2.c, version 0, under the names and in the order of features of Hugging Face checkpoints.</summary>
/// <remarks>
/// Seven little-endian int32 (width, inner width, layers, heads, key and value heads, vocabulary, longest sequence; a negative
/// vocabulary says that the output head has weights of its own), then float32 weights, each kind for all layers at once.
/// llama2.c rotates neighbouring features, this model rotates the halves of a head: rows of queries and keys change places.
/// </remarks>
public sealed class Llama2cFile : ITensorSource
{
    private const int HeaderBytes = 7 * sizeof(int);
    private const int NewerMagic = 0x616b3432; // "ak42", the beginning of versions 1 and up

    private readonly SafeFileHandle file;
    private readonly Dictionary<string, Place> places = new(StringComparer.Ordinal);

    private Llama2cFile(string path, SafeFileHandle file, LlamaConfig config)
    {
        (Path, this.file, Config) = (path, file, config);
        long at = HeaderBytes;
        foreach ((string name, int layers, int heads, long[] shape) in Layout(config))
        {
            for (int layer = 0; layer < layers; layer++)
            {
                var info = new TensorInfo(
                    name.Replace("*", $"{layer}", StringComparison.Ordinal), ScalarType.Float32, shape);
                places.Add(info.Name, new Place(info, at, heads));
                at += info.Elements * sizeof(float);
            }

            if (name == "model.norm.weight")
            {
                at += (long)config.MaxPositions * config.HeadSize * sizeof(float); // tables of rotation, which nobody reads
            }
        }

        Tensors = [.. places.Values.Select(place => place.Info)];
        ExpectedBytes = at;
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Gets the model's shape.</summary>
    public LlamaConfig Config { get; }

    private long ExpectedBytes { get; }

    /// <summary>Opens a file and verifies its header and length. The caller disposes it.</summary>
    /// <exception cref="CheckpointException">The header makes no sense, is that of a newer version, or contradicts the length.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static Llama2cFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SafeFileHandle file = File.OpenHandle(path, options: FileOptions.RandomAccess);
        try
        {
            var opened = new Llama2cFile(path, file, ReadConfig(path, file));
            long bytes = RandomAccess.GetLength(file);
            return bytes == opened.ExpectedBytes ? opened : throw new CheckpointException(
                bytes < opened.ExpectedBytes ? CheckpointError.FileTooShort : CheckpointError.TrailingBytes,
                path, "the length does not fit the header", $"{bytes} bytes", $"{opened.ExpectedBytes}",
                "The file is damaged or not a llama2.c checkpoint: fetch or export it again.");
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public bool Contains(string name) => places.ContainsKey(name);

    /// <inheritdoc/>
    public TensorInfo Describe(string name) => Find(name).Info;

    /// <inheritdoc/>
    public Tensor Read(string name)
    {
        Place place = Find(name);
        Tensor tensor = empty([.. place.Info.Shape], ScalarType.Float32);
        try
        {
            Fill(place.At, tensor.bytes);
            return place.Heads == 0 ? tensor : Halves(tensor, place.Heads);
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    // The file's order. The star is the layer; heads are given where rows change places.
    private static IEnumerable<(string Name, int Layers, int Heads, long[] Shape)> Layout(LlamaConfig c)
    {
        const string Layer = "model.layers.*.";
        long keyValue = (long)c.KeyValueHeads * c.HeadSize;
        yield return ("model.embed_tokens.weight", 1, 0, [c.VocabSize, c.HiddenSize]);
        yield return (Layer + "input_layernorm.weight", c.Layers, 0, [c.HiddenSize]);
        yield return (Layer + "self_attn.q_proj.weight", c.Layers, c.Heads, [c.HiddenSize, c.HiddenSize]);
        yield return (Layer + "self_attn.k_proj.weight", c.Layers, c.KeyValueHeads, [keyValue, c.HiddenSize]);
        yield return (Layer + "self_attn.v_proj.weight", c.Layers, 0, [keyValue, c.HiddenSize]);
        yield return (Layer + "self_attn.o_proj.weight", c.Layers, 0, [c.HiddenSize, c.HiddenSize]);
        yield return (Layer + "post_attention_layernorm.weight", c.Layers, 0, [c.HiddenSize]);
        yield return (Layer + "mlp.gate_proj.weight", c.Layers, 0, [c.IntermediateSize, c.HiddenSize]);
        yield return (Layer + "mlp.down_proj.weight", c.Layers, 0, [c.HiddenSize, c.IntermediateSize]);
        yield return (Layer + "mlp.up_proj.weight", c.Layers, 0, [c.IntermediateSize, c.HiddenSize]);
        yield return ("model.norm.weight", 1, 0, [c.HiddenSize]);
        if (!c.IsTied)
        {
            yield return ("lm_head.weight", 1, 0, [c.VocabSize, c.HiddenSize]);
        }
    }

    private static LlamaConfig ReadConfig(string path, SafeFileHandle file)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        int got = RandomAccess.Read(file, header, 0);
        if (got < HeaderBytes)
        {
            throw new CheckpointException(
                CheckpointError.FileTooShort, path, "the file ends inside its header", $"{got} bytes", $"at least {HeaderBytes}",
                "Fetch or export it again.");
        }

        int[] numbers = new int[HeaderBytes / sizeof(int)];
        for (int i = 0; i < numbers.Length; i++)
        {
            numbers[i] = BinaryPrimitives.ReadInt32LittleEndian(header[(i * sizeof(int))..]);
        }

        if (numbers[0] == NewerMagic)
        {
            throw new CheckpointException(
                CheckpointError.UnsupportedModel, path, "a llama2.c file of a newer layout", $"version {numbers[1]}", "version 0",
                "Export it with --version 0, or as a Hugging Face folder.");
        }

        (int width, int heads, int keyValueHeads) = (numbers[0], numbers[3], numbers[4]);
        bool isSound = numbers.Where((number, i) => i != 5).All(number => number is > 0 and < 1 << 24)
            && Math.Abs((long)numbers[5]) is > 0 and < 1 << 24
            && width % heads == 0 && heads % keyValueHeads == 0 && width / heads % 2 == 0;
        return !isSound
            ? throw new CheckpointException(
                CheckpointError.InvalidField, path, "the header is none of llama2.c", string.Join(", ", numbers),
                "width, inner width, layers, heads, key and value heads, vocabulary, longest sequence",
                "The file is damaged or of another format: fetch or export it again.")
            : new LlamaConfig
            {
                HiddenSize = width,
                IntermediateSize = numbers[1],
                Layers = numbers[2],
                Heads = heads,
                KeyValueHeads = keyValueHeads,
                HeadSize = width / heads,
                VocabSize = Math.Abs(numbers[5]),
                MaxPositions = numbers[6],
                IsTied = numbers[5] > 0,
                BosTokenId = 1,
                EosTokenIds = [2],
            };
    }

    private static Tensor Halves(Tensor pairs, int heads)
    {
        using (pairs)
        {
            using Tensor split = pairs.view(heads, pairs.size(0) / heads / 2, 2, pairs.size(1));
            using Tensor turned = split.transpose(1, 2);
            return turned.reshape(pairs.size(0), pairs.size(1));
        }
    }

    private Place Find(string name) => places.TryGetValue(name, out Place? place) ? place : throw new CheckpointException(
        CheckpointError.TensorNotFound, Path, "no tensor of this name", CheckpointException.Quote(name),
        "a name of Tensors", "Ask for one of the model's own names.");

    private void Fill(long at, Span<byte> target)
    {
        for (int done = 0, count; done < target.Length; done += count)
        {
            count = RandomAccess.Read(file, target[done..], at + done);
            if (count == 0)
            {
                throw new CheckpointException(
                    CheckpointError.FileChanged, Path, "the file became shorter while it was read", $"{at + done} bytes",
                    $"{ExpectedBytes}", "Do not write to a checkpoint that is being read.");
            }
        }
    }

    private sealed record Place(TensorInfo Info, long At, int Heads);
}
