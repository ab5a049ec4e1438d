using System.Text.Json;
using TorchAO.Checkpoints;

namespace TorchAO.Models.Text;

/// <summary>GPT-2's pair of files: <c>vocab.json</c> and <c>merges.txt</c>.</summary>
internal static class BytePairFiles
{
    private const string EndOfText = "<|endoftext|>";

    /// <summary>Opens the two files of a folder.</summary>
    /// <exception cref="CheckpointException">A file is missing or lies.</exception>
    public static Tokenizer Open(string folder)
    {
        string vocabularyPath = Expect(folder, "vocab.json");
        string mergesPath = Expect(folder, "merges.txt");
        Dictionary<string, int> vocabulary = ReadVocabulary(vocabularyPath);
        var model = new BytePairModel
        {
            Vocabulary = vocabulary,
            Merges = BytePairModel.Rank(vocabulary, ReadMerges(mergesPath), token => Lie(
                mergesPath, CheckpointError.InvalidTokenizer, "a merge names a token that is not in the vocabulary",
                CheckpointException.Quote(token), "tokens of vocab.json")),
            Split = TextSplitting.Words,
            IsByteLevel = true,
        };
        var added = new Dictionary<string, int>(StringComparer.Ordinal);
        if (vocabulary.TryGetValue(EndOfText, out int end))
        {
            added.Add(EndOfText, end);
        }

        return new BytePairTokenizer(vocabularyPath, model, added, added.Values.ToHashSet(), null, [.. added.Values]);
    }

    private static Dictionary<string, int> ReadVocabulary(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllBytes(path)) is { Count: > 0 } read
                ? read
                : throw Lie(path, CheckpointError.InvalidTokenizer, "the vocabulary is empty", "no token", "tokens and ids");
        }
        catch (JsonException e)
        {
            throw Lie(path, CheckpointError.InvalidJson, "the vocabulary is no JSON of ids", e.Message, "an object of ids by token", e);
        }
    }

    private static IEnumerable<(string Left, string Right)> ReadMerges(string path)
    {
        int number = 0;
        foreach (string line in File.ReadLines(path))
        {
            number++;
            if (line.Length == 0 || (number == 1 && line.StartsWith("#version", StringComparison.Ordinal)))
            {
                continue;
            }

            string[] parts = line.Split(' ');
            yield return parts.Length == 2 ? (parts[0], parts[1]) : throw Lie(
                path, CheckpointError.InvalidTokenizer, $"line {number} is no merge", CheckpointException.Quote(line),
                "two tokens with a space between");
        }
    }

    private static string Expect(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) ? path : throw Lie(
            folder, CheckpointError.MissingFile, "a tokenizer needs a file that is not there", $"no {name}", "vocab.json and merges.txt");
    }

    private static CheckpointException Lie(
        string where, CheckpointError error, string what, string got, string expected, Exception? inner = null) =>
        new(error, where, what, got, expected, "Fetch both files again, from the model's own source.", inner);
}
