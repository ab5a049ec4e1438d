using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace TorchAO.Architecture.Tests.Docs;

/// <summary>The tables of speed on the first page, made from the pages that the benchmarks wrote.</summary>
internal static partial class SpeedTable
{
    /// <summary>The page of single products.</summary>
    public const string Products = "bench/results/amd-epyc-zen5-2-cores/peers.md";

    /// <summary>The page of whole models.</summary>
    public const string Models = "bench/results/amd-epyc-zen5-2-cores/end-to-end.md";

    private const string Begin = "<!-- speed: TORCHAO_UPDATE_SPEED=1 on the architecture tests makes these tables anew -->";
    private const string End = "<!-- end of speed -->";
    private const string ProductRatios = "### How many times faster ours is (medians)";
    private const string ModelRatios = "Ours over the fastest llama.cpp of the same bits (medians):";
    private const int FewRows = 1, ManyRows = 128;

    /// <summary>Makes the tables: the largest weight at one row and at many, and every model.</summary>
    /// <param name="products">The page of single products; <see langword="null"/> where none is committed.</param>
    /// <param name="models">The page of whole models; <see langword="null"/> where none is committed.</param>
    /// <exception cref="FormatException">A page has not the form that the benchmarks give it.</exception>
    public static string Write(string? products, string? models) =>
        $"{(products is null ? "Single products beside others': not measured yet.\n" : WriteProducts(products))}\n" +
        (models is null ? "Whole models beside llama.cpp: not measured yet.\n" : WriteModels(models));

    /// <summary>Puts tables between the marks of a page.</summary>
    /// <exception cref="FormatException">The page has no marks.</exception>
    public static string Replace(string page, string tables)
    {
        int begin = page.IndexOf(Begin, StringComparison.Ordinal), end = page.IndexOf(End, StringComparison.Ordinal);
        return begin >= 0 && end > begin
            ? $"{page[..begin]}{Begin}\n\n{tables}\n{page[end..]}"
            : throw new FormatException($"the page has no '{Begin}' with '{End}' behind it.");
    }

    private static string WriteProducts(string products)
    {
        (long n, long k, string section) = Sections(products)
            .Select(section => (Title: WeightTitle().Match(section.Title), section.Text))
            .Where(section => section.Title.Success)
            .Select(section => (N: Number(section.Title.Groups[1]), K: Number(section.Title.Groups[2]), section.Text))
            .OrderByDescending(section => section.N * section.K)
            .FirstOrDefault((0, 0, string.Empty));
        string[][] rows = Table(section, ProductRatios);
        int few = Column(rows[0], $"M = {FewRows}"), many = Column(rows[0], $"M = {ManyRows}");
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            How many times as fast as others' products, weight [{n}, {k}], in turns in one process ([all shapes]({Products})):

            | beside | ours | one row | {ManyRows} rows |
            | --- | --- | --- | --- |

            """);
        foreach (string[] row in rows.Skip(2))
        {
            text.Append(CultureInfo.InvariantCulture, $"| {row[1]} | {row[0]} | {row[few]} | {row[many]} |\n");
        }

        return text.ToString().ReplaceLineEndings("\n");
    }

    private static string WriteModels(string models)
    {
        (string Title, string Text)[] sections = [.. Sections(models)];
        if (sections.Length == 0)
        {
            throw new FormatException($"{Models} has no model; write the page with the benchmark that made it.");
        }

        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            How many times as fast as llama.cpp with weights of as many bits, whole models ([tokens a second]({Models})):

            | model | ours | decode | prefill |
            | --- | --- | --- | --- |

            """);
        foreach ((string title, string body) in sections)
        {
            foreach (string[] row in Table(body, ModelRatios).Skip(2))
            {
                text.Append(CultureInfo.InvariantCulture, $"| {title} | {row[0]} | {row[1]} | {row[2]} |\n");
            }
        }

        return text.ToString().ReplaceLineEndings("\n");
    }

    private static IEnumerable<(string Title, string Text)> Sections(string page) =>
        $"\n{page.ReplaceLineEndings("\n")}".Split("\n## ").Skip(1)
            .Select(section => section.Split('\n', 2))
            .Select(parts => (parts[0].Trim(), parts.Length > 1 ? parts[1] : string.Empty));

    // The first table behind a line, cell by cell: its head, the line below it, its rows.
    private static string[][] Table(string section, string before)
    {
        int at = section.IndexOf(before, StringComparison.Ordinal);
        string[][] rows = at < 0 ? [] :
        [
            .. section[(at + before.Length)..].Split('\n').SkipWhile(line => !line.StartsWith('|')).TakeWhile(line => line.StartsWith('|'))
                .Select(line => line.Trim().Trim('|').Split('|').Select(cell => cell.Trim()).ToArray()),
        ];
        return rows.Length > 2 && rows.All(row => row.Length == rows[0].Length) ? rows : throw new FormatException(
            $"no table of ratios stands behind '{before}'; write the page with the benchmark that made it.");
    }

    private static int Column(string[] head, string title)
    {
        int column = Array.IndexOf(head, title);
        return column >= 0 ? column : throw new FormatException($"the table has no column '{title}', only {string.Join(", ", head)}.");
    }

    private static long Number(Group group) => long.Parse(group.Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^\[(\d+), (\d+)\]$")]
    private static partial Regex WeightTitle();
}
