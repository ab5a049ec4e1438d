using System.Buffers.Binary;
using System.Text;
using TorchAO.Checkpoints;

namespace TorchAO.Models.Text;

/// <summary>Reads a <c>tok*.bin</c> file of llama2.c.</summary>
/// <remarks>
/// Little-endian: int32 longest token in bytes, then for each token a float32 score, an int32 length and its bytes. Ids 0, 1
/// and 2 are unknown, beginning and end.
/// </remarks>
internal static class Llama2cVocabulary
{
    private const int Unknown = 0;
    private const int Begin = 1;
    private const int End = 2;
    private const int LongestToken = 1 << 16;
    private const int FixedBytes = sizeof(float) + sizeof(int);

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Opens a file.</summary>
    /// <exception cref="CheckpointException">The file ends early, or holds what is no vocabulary.</exception>
    public static Tokenizer Open(string path)
    {
        ReadOnlySpan<byte> file = File.ReadAllBytes(path);
        (List<string> texts, List<float> scores) = ([], []);
        for (int at = sizeof(int); at < file.Length;)
        {
            (string text, float score, int bytes) = ReadToken(path, file[at..], texts.Count);
            texts.Add(text);
            scores.Add(score);
            at += bytes;
        }

        if (texts.Count <= End + 1)
        {
            throw Lie(
                path, CheckpointError.FileTooShort, "the vocabulary is empty", $"{texts.Count} tokens in {file.Length} bytes",
                "unknown, beginning, end, and more");
        }

        var pieces = new ScoredPieces
        {
            Texts = texts,
            Scores = scores,
            Hidden = new HashSet<int> { Unknown, Begin, End },
            Controls = new HashSet<int> { Begin, End },
            Unknown = Unknown,
        };
        return new ScoredPieceTokenizer(path, pieces, Begin, [End]);
    }

    private static (string Text, float Score, int Bytes) ReadToken(string path, ReadOnlySpan<byte> rest, int number)
    {
        if (rest.Length < FixedBytes)
        {
            throw Short(path, number, rest.Length, FixedBytes);
        }

        float score = BinaryPrimitives.ReadSingleLittleEndian(rest);
        int length = BinaryPrimitives.ReadInt32LittleEndian(rest[sizeof(float)..]);
        if (length is < 0 or > LongestToken || float.IsNaN(score))
        {
            throw Lie(
                path, CheckpointError.InvalidTokenizer, $"token {number} makes no sense", $"score {score}, length {length}",
                $"a number and a length from 0 to {LongestToken}");
        }

        if (rest.Length - FixedBytes < length)
        {
            throw Short(path, number, rest.Length - FixedBytes, length);
        }

        try
        {
            return (Strict.GetString(rest.Slice(FixedBytes, length)), score, FixedBytes + length);
        }
        catch (DecoderFallbackException e)
        {
            throw Lie(path, CheckpointError.InvalidUtf8, $"token {number} is no text", "invalid UTF-8", "UTF-8", e);
        }
    }

    private static CheckpointException Short(string path, int token, int got, int expected) => Lie(
        path, CheckpointError.FileTooShort, $"the file ends inside token {token}", $"{got} bytes", $"at least {expected}");

    private static CheckpointException Lie(
        string where, CheckpointError error, string what, string got, string expected, Exception? inner = null) =>
        new(error, where, what, got, expected, "Fetch the tokenizer again, from the model's own source.", inner);
}
