using TorchAO.Checkpoints;

namespace TorchAO.Models.Text;

/// <summary>Turns text into token ids and back.</summary>
/// <remarks>Immutable; any number of threads may use one. A <see cref="TokenDecoder"/> belongs to one stream of tokens.</remarks>
public abstract class Tokenizer
{
    /// <summary>Creates a tokenizer.</summary>
    /// <param name="path">The file it was read from, for messages.</param>
    private protected Tokenizer(string path) => Path = path;

    /// <summary>Gets the file the tokenizer was read from.</summary>
    public string Path { get; }

    /// <summary>Gets one more than the largest id.</summary>
    public abstract int VocabSize { get; }

    /// <summary>Gets the id that <see cref="Encode"/> puts before a text; <see langword="null"/> where none is.</summary>
    public abstract int? BosTokenId { get; }

    /// <summary>Gets the ids that end a text, as far as the tokenizer's file tells; the model's configuration may name more.</summary>
    public abstract IReadOnlyList<int> EosTokenIds { get; }

    /// <summary>Gets whether a decoded text loses the space it begins with, because encoding put one there.</summary>
    internal abstract bool DropsFirstSpace { get; }

    /// <summary>Opens the tokenizer of a model.</summary>
    /// <param name="path">A file, or a model's folder: <c>tokenizer.json</c>, <c>tokenizer.model</c>, any other <c>*.model</c>,
    /// <c>tok*.bin</c> of llama2.c, or <c>vocab.json</c> with <c>merges.txt</c>, in this order.</param>
    /// <exception cref="CheckpointException">There is no tokenizer, or its file lies or asks for what is not done here.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static Tokenizer Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string file = Directory.Exists(path) ? FindIn(path) : path;
        if (!File.Exists(file))
        {
            throw NotFound(path, "no such file or folder");
        }

        return System.IO.Path.GetFileName(file) switch
        {
            "vocab.json" or "merges.txt" => BytePairFiles.Open(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(file))!),
            string name when name.EndsWith(".json", StringComparison.OrdinalIgnoreCase) => TokenizerJson.Open(file),
            string name when name.EndsWith(".model", StringComparison.OrdinalIgnoreCase) => SentencePieceModel.Open(file),
            string name when name.EndsWith(".bin", StringComparison.OrdinalIgnoreCase) => Llama2cVocabulary.Open(file),
            string name => throw NotFound(path, $"a file {CheckpointException.Quote(name)}"),
        };
    }

    /// <summary>Encodes a text.</summary>
    /// <param name="text">Any text; special tokens that are spelt out in it count as such where the tokenizer's file lists them.</param>
    /// <param name="addBos">Whether <see cref="BosTokenId"/> goes before, if there is one.</param>
    public IReadOnlyList<int> Encode(string text, bool addBos = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>();
        if (addBos && BosTokenId is int bos)
        {
            ids.Add(bos);
        }

        AppendTo(ids, text);
        return ids;
    }

    /// <summary>Decodes ids; control tokens have no text, incomplete characters become U+FFFD.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var decoder = new TokenDecoder(this);
        return string.Concat(ids.Select(decoder.Add)) + decoder.Flush();
    }

    /// <summary>Demands that a model knows every id of this tokenizer.</summary>
    /// <exception cref="CheckpointException">The tokenizer has more ids than the model.</exception>
    public void EnsureFits(int vocabSize)
    {
        if (VocabSize > vocabSize)
        {
            throw new CheckpointException(
                CheckpointError.ShapeMismatch, Path, "the tokenizer belongs to another model", $"{VocabSize} ids",
                $"at most {vocabSize}, the model's vocabulary", "Give the tokenizer that came with the model.");
        }
    }

    /// <summary>Appends the ids of a text.</summary>
    private protected abstract void AppendTo(List<int> ids, string text);

    /// <summary>Gets the UTF-8 bytes of a token, perhaps only a part of a character; empty for control tokens.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    internal abstract ReadOnlySpan<byte> Bytes(int id);

    /// <summary>Describes a lie in a tokenizer's file.</summary>
    private protected static CheckpointException Lie(
        string where, CheckpointError error, string what, string got, string expected, Exception? inner = null) =>
        new(error, where, what, got, expected, "Fetch the tokenizer again, from the model's own source.", inner);

    private static string FindIn(string folder)
    {
        string Named(string name) => System.IO.Path.Combine(folder, name);
        IEnumerable<string> candidates =
        [
            Named("tokenizer.json"),
            Named("tokenizer.model"),
            .. Directory.GetFiles(folder, "*.model").Order(StringComparer.Ordinal),
            .. Directory.GetFiles(folder, "tok*.bin").Order(StringComparer.Ordinal),
            Named("vocab.json"),
        ];
        return candidates.FirstOrDefault(File.Exists) ?? throw NotFound(folder, "a folder without one");
    }

    private static CheckpointException NotFound(string path, string got) => new(
        CheckpointError.MissingFile, path, "no tokenizer", got,
        "tokenizer.json, tokenizer.model, *.model, tok*.bin, or vocab.json with merges.txt",
        "Name the tokenizer's file or folder, as it came with the model.");
}
