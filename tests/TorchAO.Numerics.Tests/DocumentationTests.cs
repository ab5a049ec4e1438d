using System.Globalization;
using Xunit;

namespace TorchAO.Numerics.Tests;

/// <summary>docs/numerics.md says what the code does.</summary>
public sealed class DocumentationTests
{
    [Fact]
    public void The_table_of_formats_is_that_of_the_code()
    {
        string[][] expected =
        [
            Row<Float8E4M3>(), Row<Float8E5M2>(), Row<Float6E3M2>(), Row<Float6E2M3>(), Row<Float4E2M1>(),
        ];
        Assert.Equal(expected, Table("| Format |"));
    }

    [Fact]
    public void The_table_of_NormalFloat4_is_that_of_the_code()
    {
        string[][] rows = Table("| Code |");
        Assert.Equal(Enumerable.Range(0, 16), rows.Select(row => int.Parse(row[0], CultureInfo.InvariantCulture)));
        Assert.Equal(
            NormalFloat4.Values.ToArray(), rows.Select(row => float.Parse(row[1], CultureInfo.InvariantCulture)));
    }

    private static string[] Row<TFormat>()
        where TFormat : struct, INumberFormat
    {
        float beyond = FloatCodec<TFormat>.Decode(FloatCodec<TFormat>.Encode(FloatCodec<TFormat>.MaxValue * 1.2f));
        return
        [
            typeof(TFormat).Name,
            FloatCodec<TFormat>.Bits.ToString(CultureInfo.InvariantCulture),
            TFormat.ExponentBits.ToString(CultureInfo.InvariantCulture),
            TFormat.MantissaBits.ToString(CultureInfo.InvariantCulture),
            FloatCodec<TFormat>.MaxValue.ToString(CultureInfo.InvariantCulture),
            Power(FloatCodec<TFormat>.MinNormal),
            Power(FloatCodec<TFormat>.MinSubnormal),
            FloatCodec<TFormat>.HasInfinity ? "yes" : "no",
            FloatCodec<TFormat>.HasNaN ? "yes" : "no",
            float.IsNaN(beyond) ? "NaN" : float.IsInfinity(beyond) ? "infinity" : "largest",
        ];
    }

    private static string Power(float value)
    {
        int exponent = MathF.ILogB(value);
        Assert.Equal(MathF.ScaleB(1, exponent), value);
        return string.Create(CultureInfo.InvariantCulture, $"2^{exponent}");
    }

    private static string[][] Table(string firstCell)
    {
        string[] lines = File.ReadAllLines(Find(Path.Combine("docs", "numerics.md")));
        return
        [
            .. lines.SkipWhile(line => !line.StartsWith(firstCell, StringComparison.Ordinal)).Skip(2)
                .TakeWhile(line => line.StartsWith('|'))
                .Select(line => line.Trim('|').Split('|').Select(cell => cell.Trim()).ToArray()),
        ];
    }

    private static string Find(string path)
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            string full = Path.Combine(at.FullName, path);
            if (File.Exists(full))
            {
                return full;
            }
        }

        throw new FileNotFoundException($"No {path} above {AppContext.BaseDirectory}.", path);
    }
}
