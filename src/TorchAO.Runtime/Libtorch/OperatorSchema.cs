namespace TorchAO.Runtime.Libtorch;

/// <summary>One argument of a schema.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its type.</param>
/// <param name="Default">The text of its default, or <see langword="null"/>.</param>
internal sealed record OperatorParameter(string Name, OperatorType Type, string? Default);

/// <summary>What an operator takes and gives, read from libtorch's own text.</summary>
/// <param name="Text">The schema, such as <c>aten::mm(Tensor self, Tensor mat2) -> Tensor</c>.</param>
/// <param name="Parameters">The arguments in order, keyword-only ones included.</param>
/// <param name="Results">The types of the results.</param>
/// <param name="IsMutating">Whether an argument is written to.</param>
internal sealed record OperatorSchema(
    string Text, IReadOnlyList<OperatorParameter> Parameters, IReadOnlyList<OperatorType> Results, bool IsMutating)
{
    /// <summary>Reads a schema.</summary>
    /// <exception cref="FormatException">The text is not one.</exception>
    public static OperatorSchema Parse(string text)
    {
        int open = text.IndexOf('(', StringComparison.Ordinal);
        int close = open < 0 ? -1 : Closing(text, open);
        int arrow = close < 0 ? -1 : text.IndexOf("->", close, StringComparison.Ordinal);
        if (arrow < 0)
        {
            throw new FormatException($"\"{text}\" is not an operator's schema.");
        }

        string results = text[(arrow + 2)..].Trim();
        string inner = results.StartsWith('(') && Closing(results, 0) == results.Length - 1 ? results[1..^1] : results;
        return new OperatorSchema(
            text,
            [.. Split(text[(open + 1)..close]).Where(part => part != "*").Select(ParseParameter)],
            [.. Split(inner).Select(part => OperatorType.Parse(WithoutAlias(part).Split(' ')[0]))],
            text[open..close].Contains('!', StringComparison.Ordinal));
    }

    // "Tensor(a!) self", "int[2] stride=[1, 1]", "ScalarType? dtype=None"
    private static OperatorParameter ParseParameter(string part)
    {
        string plain = WithoutAlias(part);
        int equals = plain.IndexOf('=', StringComparison.Ordinal);
        string declaration = equals < 0 ? plain : plain[..equals];
        int space = declaration.TrimEnd().LastIndexOf(' ');
        return space < 0
            ? throw new FormatException($"\"{part}\" is not an argument of an operator.")
            : new OperatorParameter(
                declaration[(space + 1)..].Trim(), OperatorType.Parse(declaration[..space].Trim()),
                equals < 0 ? null : plain[(equals + 1)..].Trim());
    }

    // Aliases stand in parentheses behind a type name: "Tensor(a -> *)", "Tensor(a!)[]". Defaults hold none.
    private static string WithoutAlias(string part)
    {
        int open = part.IndexOf('(', StringComparison.Ordinal);
        int equals = part.IndexOf('=', StringComparison.Ordinal);
        if (open <= 0 || (equals >= 0 && equals < open))
        {
            return part;
        }

        return part[..open] + part[(Closing(part, open) + 1)..];
    }

    private static int Closing(string text, int open)
    {
        int depth = 0;
        for (int i = open; i < text.Length; i++)
        {
            depth += text[i] is '(' or '[' ? 1 : text[i] is ')' or ']' ? -1 : 0;
            if (depth == 0)
            {
                return i;
            }
        }

        throw new FormatException($"\"{text}\" has a bracket that nothing closes.");
    }

    /// <summary>Splits at the commas outside of brackets.</summary>
    private static List<string> Split(string text)
    {
        List<string> parts = [];
        int depth = 0, begin = 0;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i == text.Length || (text[i] == ',' && depth == 0))
            {
                string part = text[begin..i].Trim();
                if (part.Length > 0)
                {
                    parts.Add(part);
                }

                begin = i + 1;
                continue;
            }

            depth += text[i] is '(' or '[' ? 1 : text[i] is ')' or ']' ? -1 : 0;
        }

        return parts;
    }
}
