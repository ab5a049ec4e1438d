using System.Text;

namespace TorchAO.Models.Text;

/// <summary>Decodes a stream of tokens one by one: text appears as soon as its characters are complete.</summary>
/// <param name="tokenizer">The tokenizer of the tokens.</param>
public sealed class TokenDecoder(Tokenizer tokenizer)
{
    private readonly Decoder utf8 = Encoding.UTF8.GetDecoder();
    private bool isStart = true;

    /// <summary>Adds a token.</summary>
    /// <returns>The text that it completes; empty where a character needs more tokens.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    public string Add(int id)
    {
        ReadOnlySpan<byte> bytes = tokenizer.Bytes(id);
        if (bytes.IsEmpty)
        {
            return string.Empty;
        }

        if (isStart && tokenizer.DropsFirstSpace && bytes[0] == ' ')
        {
            bytes = bytes[1..];
        }

        isStart = false;
        return Convert(bytes, isEnd: false);
    }

    /// <summary>Ends the stream.</summary>
    /// <returns>U+FFFD where the last character is incomplete, nothing otherwise.</returns>
    public string Flush()
    {
        isStart = true;
        return Convert([], isEnd: true);
    }

    private string Convert(ReadOnlySpan<byte> bytes, bool isEnd)
    {
        char[] characters = new char[bytes.Length + 2]; // never empty: the decoder would forget what it holds
        return new string(characters, 0, utf8.GetChars(bytes, characters, isEnd));
    }
}
