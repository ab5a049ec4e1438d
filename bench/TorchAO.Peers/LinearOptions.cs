using System.Globalization;

namespace TorchAO.Peers;

/// <summary>What <c>linear</c> measures.</summary>
internal sealed record LinearOptions
{
    /// <summary>Gets the weights <c>[N, K]</c>: those of Llama-3.1-8B that differ most, and of a story model.</summary>
    public IReadOnlyList<(long N, long K)> Shapes { get; init; } = [(4096, 4096), (14336, 4096), (4096, 14336), (768, 288)];

    /// <summary>Gets the counts of activation rows, M.</summary>
    public IReadOnlyList<int> Rows { get; init; } = [1, 2, 4, 8, 16, 32, 64, 128, 512];

    /// <summary>Gets how many times each contestant is timed.</summary>
    public int Rounds { get; init; } = 31;

    /// <summary>Gets what the names of contestants may begin with; empty takes all.</summary>
    public IReadOnlyList<string> Only { get; init; } = [];

    /// <summary>Reads <c>--shapes 4096x4096,4096x14336 --rows 1,8 --rounds 31 --only ggml,TorchAO</c>.</summary>
    /// <exception cref="ArgumentException">An option that is none of these, or without its value.</exception>
    public static LinearOptions Parse(ReadOnlySpan<string> arguments)
    {
        var options = new LinearOptions();
        for (; !arguments.IsEmpty; arguments = arguments[2..])
        {
            if (arguments.Length == 1)
            {
                throw new ArgumentException($"{arguments[0]} has no value.");
            }

            string[] values = arguments[1].Split(',');
            options = arguments[0] switch
            {
                "--shapes" => options with { Shapes = [.. values.Select(Shape)] },
                "--rows" => options with { Rows = [.. values.Select(Number)] },
                "--rounds" => options with { Rounds = Number(values[0]) },
                "--only" => options with { Only = values },
                _ => throw new ArgumentException(
                    $"{arguments[0]} is no option; expected --shapes, --rows, --rounds or --only."),
            };
        }

        return options;
    }

    /// <summary>Says whether a contestant takes part.</summary>
    public bool Takes(string name) => Only.Count == 0 || Only.Any(start => name.StartsWith(start, StringComparison.OrdinalIgnoreCase));

    private static (long N, long K) Shape(string text) =>
        text.Split('x') is [string n, string k] ? (Number(n), Number(k)) : throw new ArgumentException($"'{text}' is no shape like 4096x14336.");

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
