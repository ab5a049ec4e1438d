using System.Globalization;
using System.Text;

namespace TorchAO.Models.Text;

/// <summary>The bytes of each token of a SentencePiece-like vocabulary.</summary>
internal sealed class TokenTable
{
    private const string Unknown = "\uFFFD";

    private readonly byte[]?[] bytes;

    /// <summary>Creates a table.</summary>
    /// <param name="count">One more than the largest id.</param>
    /// <param name="tokens">Each id's text, with spaces where SentencePiece writes U+2581.</param>
    /// <param name="controls">Ids without a text.</param>
    /// <param name="unknown">The id that stands for what the vocabulary lacks, or <see langword="null"/>.</param>
    public TokenTable(int count, IEnumerable<(int Id, string Text)> tokens, IReadOnlySet<int> controls, int? unknown)
    {
        bytes = new byte[]?[count];
        foreach ((int id, string text) in tokens)
        {
            bytes[id] = controls.Contains(id) ? [] : id == unknown ? Encoding.UTF8.GetBytes(Unknown) : BytesOf(text);
        }
    }

    /// <summary>Reads <c>&lt;0x0A&gt;</c> as the byte it stands for.</summary>
    public static bool TryReadByte(string token, out byte value)
    {
        value = 0;
        return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
            && byte.TryParse(token.AsSpan(3, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>Gets the bytes of an id.</summary>
    public ReadOnlySpan<byte> this[int id] => (uint)id < (uint)bytes.Length && bytes[id] is { } found
        ? found
        : throw new ArgumentOutOfRangeException(nameof(id), id, $"no such token; the vocabulary has ids from 0 to {bytes.Length - 1}.");

    private static byte[] BytesOf(string text) => TryReadByte(text, out byte value) ? [value] : Encoding.UTF8.GetBytes(text);
}
