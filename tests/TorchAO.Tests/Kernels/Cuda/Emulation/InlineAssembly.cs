using System.Text;

namespace TorchAO.Tests.Kernels.Cuda.Emulation;

/// <summary>Rewrites <c>asm("…" : outputs : inputs : clobbers)</c> to a call that C++ can make.</summary>
internal static class InlineAssembly
{
    /// <summary>Gets the text with every statement of inline assembly as <c>EMULATED_PTX("…", operands)</c>.</summary>
    public static string Rewrite(string text)
    {
        var result = new StringBuilder();
        int at = 0;
        while (Next(text, at) is int start)
        {
            result.Append(text, at, start - at);
            int open = text.IndexOf('(', start);
            List<string> sections = Split(text, open + 1, ':', out int close);
            result.Append("EMULATED_PTX(").Append(sections[0].Trim());
            foreach (string operand in Operands(sections, 1).Concat(Operands(sections, 2)))
            {
                result.Append(", ").Append(operand);
            }

            result.Append(')');
            at = close + 1;
        }

        return result.Append(text, at, text.Length - at).ToString();
    }

    // The next word asm that is neither in a comment nor a part of another word.
    private static int? Next(string text, int from)
    {
        for (int at = from; at < text.Length; at++)
        {
            if (text[at] == '"')
            {
                at = EndOfLiteral(text, at);
            }
            else if (At(text, at, "//"))
            {
                at = text.IndexOf('\n', at);
                if (at < 0)
                {
                    return null;
                }
            }
            else if (At(text, at, "asm") && (at == 0 || !IsWord(text[at - 1])) && !IsWord(text[at + 3]))
            {
                return at;
            }
        }

        return null;
    }

    /// <summary>Splits what is between parentheses; the first character is behind the opening one.</summary>
    private static List<string> Split(string text, int from, char separator, out int close)
    {
        List<string> parts = [];
        int depth = 0, start = from;
        for (close = from; close < text.Length; close++)
        {
            char c = text[close];
            if (c == '"')
            {
                close = EndOfLiteral(text, close);
            }
            else if (c is '(' or '[' or '{')
            {
                depth++;
            }
            else if (c is ')' or ']' or '}' && depth-- == 0)
            {
                parts.Add(text[start..close]);
                return parts;
            }
            else if (c == separator && depth == 0)
            {
                parts.Add(text[start..close]);
                start = close + 1;
            }
        }

        throw new InvalidDataException($"no closing parenthesis behind: {text[from..Math.Min(text.Length, from + 60)]}");
    }

    private static IEnumerable<string> Operands(List<string> sections, int index)
    {
        if (index >= sections.Count || sections[index].Trim().Length == 0)
        {
            return [];
        }

        return Split(sections[index] + ")", 0, ',', out _).Select(operand =>
        {
            string[] halves = operand.Trim().Split('"', 3);
            string constraint = halves[1], expression = halves[2].Trim();
            return constraint[0] switch
            {
                '=' => $"emulated::PtxOperand::out({expression}, false)",
                '+' => $"emulated::PtxOperand::out({expression}, true)",
                'f' => $"emulated::PtxOperand::in<float>({expression})",
                'h' => $"emulated::PtxOperand::in<uint16_t>({expression})",
                'l' => $"emulated::PtxOperand::in<uint64_t>({expression})",
                _ => $"emulated::PtxOperand::in<uint32_t>({expression})",
            };
        });
    }

    private static int EndOfLiteral(string text, int quote)
    {
        int end = quote + 1;
        while (text[end] != '"')
        {
            end += text[end] == '\\' ? 2 : 1;
        }

        return end;
    }

    private static bool At(string text, int at, string word) => string.CompareOrdinal(text, at, word, 0, word.Length) == 0;

    private static bool IsWord(char c) => char.IsAsciiLetterOrDigit(c) || c == '_';
}
