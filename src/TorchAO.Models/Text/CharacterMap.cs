using System.Buffers.Binary;
using System.Text;
using TorchAO.Checkpoints;

namespace TorchAO.Models.Text;

/// <summary>SentencePiece's map of characters to their normal form: the longest match wins, what does not match stays.</summary>
/// <remarks>
/// Stored as the size of a trie in bytes, the trie as a double array of 32-bit units (Yata et al. 2007), and the normal forms, each
/// ended by a zero. A unit has the label of the edge to it in its lowest byte, and the place of its children by xor.
/// </remarks>
internal sealed class CharacterMap
{
    private readonly uint[] units;
    private readonly byte[] forms;

    private CharacterMap(uint[] units, byte[] forms) => (this.units, this.forms) = (units, forms);

    /// <summary>Reads a map, or <see langword="null"/> where there is none.</summary>
    /// <exception cref="CheckpointException">The map is cut off.</exception>
    public static CharacterMap? Read(ReadOnlySpan<byte> stored, string path)
    {
        if (stored.IsEmpty)
        {
            return null;
        }

        uint bytes = stored.Length >= sizeof(uint) ? BinaryPrimitives.ReadUInt32LittleEndian(stored) : uint.MaxValue;
        if (bytes % sizeof(uint) != 0 || bytes > stored.Length - sizeof(uint) || stored[^1] != 0)
        {
            throw new CheckpointException(
                CheckpointError.InvalidTokenizer, path, "the map of characters is cut off", $"{stored.Length} bytes",
                $"a trie of {bytes} bytes and its normal forms", "Fetch the tokenizer again, from the model's own source.");
        }

        uint[] units = new uint[bytes / sizeof(uint)];
        for (int i = 0; i < units.Length; i++)
        {
            units[i] = BinaryPrimitives.ReadUInt32LittleEndian(stored[(sizeof(uint) * (i + 1))..]);
        }

        return new CharacterMap(units, stored[(sizeof(uint) + (int)bytes)..].ToArray());
    }

    /// <summary>Maps a text.</summary>
    public string Apply(string text)
    {
        byte[] source = Encoding.UTF8.GetBytes(text);
        var result = new List<byte>(source.Length);
        for (int at = 0; at < source.Length;)
        {
            (int length, int form) = Longest(source.AsSpan(at));
            if (length == 0)
            {
                Rune.DecodeFromUtf8(source.AsSpan(at), out _, out length);
                result.AddRange(source.AsSpan(at, length));
            }
            else
            {
                result.AddRange(forms.AsSpan(form, forms.AsSpan(form).IndexOf((byte)0)));
            }

            at += length;
        }

        return Encoding.UTF8.GetString([.. result]);
    }

    private (int Length, int Form) Longest(ReadOnlySpan<byte> text)
    {
        (int Length, int Form) best = default;
        uint at = units.Length == 0 ? 0 : Children(units[0]);
        for (int i = 0; i < text.Length; i++)
        {
            at ^= text[i];
            if (at >= units.Length || Label(units[at]) != text[i])
            {
                break;
            }

            bool hasForm = (units[at] >> 8 & 1) != 0;
            at ^= Children(units[at]);
            if (hasForm && at < units.Length && (units[at] & 0x7FFF_FFFF) < forms.Length)
            {
                best = (i + 1, (int)(units[at] & 0x7FFF_FFFF));
            }
        }

        return best;
    }

    private static uint Label(uint unit) => unit & 0x8000_00FF;

    private static uint Children(uint unit) => unit >> 10 << (int)((unit & 0x200) >> 6);
}
