using System.Text;

namespace TorchAO.Models.Text;

/// <summary>GPT-2's spelling of bytes by printable characters (Radford et al. 2019): bytes that print stay, the others are
/// counted up from U+0100.</summary>
internal static class ByteAlphabet
{
    private static readonly char[] Letters = MakeLetters();
    private static readonly Dictionary<char, byte> Values =
        Letters.Select((letter, value) => (letter, value)).ToDictionary(pair => pair.letter, pair => (byte)pair.value);

    /// <summary>Spells the UTF-8 bytes of a text.</summary>
    public static string Spell(string text) => string.Concat(Encoding.UTF8.GetBytes(text).Select(value => Letters[value]));

    /// <summary>Reads the bytes of a spelling, or <see langword="null"/> where a character is none of the alphabet.</summary>
    public static byte[]? Read(string spelling)
    {
        byte[] bytes = new byte[spelling.Length];
        for (int i = 0; i < bytes.Length; i++)
        {
            if (!Values.TryGetValue(spelling[i], out bytes[i]))
            {
                return null;
            }
        }

        return bytes;
    }

    private static char[] MakeLetters()
    {
        char[] letters = new char[256];
        int unprinted = 0;
        for (int value = 0; value < letters.Length; value++)
        {
            bool isPrinted = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            letters[value] = isPrinted ? (char)value : (char)(0x100 + unprinted++);
        }

        return letters;
    }
}
