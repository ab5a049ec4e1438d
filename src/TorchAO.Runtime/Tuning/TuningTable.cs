using System.Globalization;
using TorchAO.Runtime.Storage;

namespace TorchAO.Runtime.Tuning;

/// <summary>What was measured on this machine, by problem and candidate, kept as a text file.</summary>
/// <remarks>
/// A line is <c>machine</c>, <c>problem</c>, <c>candidate</c> and milliseconds, separated by tabs; lines that begin with <c>#</c>
/// are comments. A file may hold the lines of several machines: each reads its own and keeps the others. Not thread-safe.
/// </remarks>
public sealed class TuningTable
{
    private const string Heading = "# TorchAO tuning table 1: machine, problem, candidate, milliseconds";

    private readonly string machine;
    private readonly Dictionary<(string Machine, string Problem, string Candidate), double> entries = [];

    /// <summary>Creates an empty table.</summary>
    /// <param name="machine">What tells this machine and this build of the library from others.</param>
    /// <exception cref="ArgumentException">The text is empty or holds a tab or a line break.</exception>
    public TuningTable(string machine)
    {
        RequireField(machine, nameof(machine));
        this.machine = machine;
    }

    /// <summary>Gets how many measurements of this machine are known.</summary>
    public int Count => entries.Keys.Count(key => key.Machine == machine);

    /// <summary>Reads a file, or begins an empty table where there is none.</summary>
    /// <param name="path">The file.</param>
    /// <param name="machine">What tells this machine and this build of the library from others.</param>
    /// <exception cref="InvalidDataException">A line is not one of a tuning table; the message says which and why.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static TuningTable Load(string path, string machine)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var table = new TuningTable(machine);
        table.Read(path);
        return table;
    }

    /// <summary>Gets a measurement of this machine.</summary>
    public bool TryGet(string problem, string candidate, out double milliseconds) =>
        entries.TryGetValue((machine, problem, candidate), out milliseconds);

    /// <summary>Adds or replaces a measurement of this machine.</summary>
    /// <exception cref="ArgumentException">A text is empty or holds a tab or a line break, or the time is no positive number.</exception>
    public void Set(string problem, string candidate, double milliseconds)
    {
        RequireField(problem, nameof(problem));
        RequireField(candidate, nameof(candidate));
        if (!double.IsFinite(milliseconds) || milliseconds <= 0)
        {
            throw new ArgumentException($"got {milliseconds} milliseconds, expected a positive number.", nameof(milliseconds));
        }

        entries[(machine, problem, candidate)] = milliseconds;
    }

    /// <summary>Writes the table, with what others wrote into the file meanwhile; the file appears whole or not at all.</summary>
    /// <exception cref="InvalidDataException">The file that is there is no tuning table; it is left as it is.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Save(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string target = Path.GetFullPath(path);
        var merged = new TuningTable(machine);
        merged.Read(target);
        foreach (((string Machine, string Problem, string Candidate) key, double milliseconds) in entries)
        {
            merged.entries[key] = milliseconds;
        }

        string[] lines =
        [
            Heading,
            .. merged.entries.Select(entry => string.Join('\t',
                entry.Key.Machine, entry.Key.Problem, entry.Key.Candidate, entry.Value.ToString("R", CultureInfo.InvariantCulture)))
                .Order(StringComparer.Ordinal),
        ];
        string folder = Path.GetDirectoryName(target)!;
        string partial = Path.Combine(folder, $".{Path.GetFileName(target)}.{Environment.ProcessId}.partial");
        try
        {
            File.WriteAllLines(partial, lines);
            File.Move(partial, target, overwrite: true);
            FolderSync.Flush(folder);
        }
        finally
        {
            File.Delete(partial); // nothing is there after the move
        }
    }

    private void Read(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }

        string[] lines = File.ReadAllLines(path);
        if (lines.Length == 0 || lines[0] != Heading)
        {
            throw new InvalidDataException(
                $"{path}, line 1: expected '{Heading}', got '{(lines.Length == 0 ? string.Empty : lines[0])}'. Name another file, or delete " +
                "this one to measure anew.");
        }

        for (int i = 1; i < lines.Length; i++)
        {
            if (lines[i].Length == 0 || lines[i][0] == '#')
            {
                continue;
            }

            string[] fields = lines[i].Split('\t');
            if (fields.Length != 4
                || !double.TryParse(fields[3], NumberStyles.Float, CultureInfo.InvariantCulture, out double milliseconds)
                || !double.IsFinite(milliseconds) || milliseconds <= 0)
            {
                throw new InvalidDataException(
                    $"{path}, line {i + 1}: expected machine, problem, candidate and positive milliseconds separated by tabs, got '{lines[i]}'. " +
                    "Correct the line, or delete the file to measure anew.");
            }

            entries[(fields[0], fields[1], fields[2])] = milliseconds;
        }
    }

    private static void RequireField(string text, string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(text, name);
        if (text.AsSpan().IndexOfAny('\t', '\n', '\r') >= 0)
        {
            throw new ArgumentException($"'{text}' holds a tab or a line break, which separate the table's fields.", name);
        }
    }
}
