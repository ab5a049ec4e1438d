namespace TorchAO.Cli.Tests;

/// <summary>Runs a command line in this process and keeps what it wrote.</summary>
internal sealed class TestTerminal
{
    public string Out { get; private set; } = string.Empty;

    public string Err { get; private set; } = string.Empty;

    public int Run(string[] args, string input = "")
    {
        using StringWriter output = new(), error = new();
        var terminal = new Terminal(output, error, new StringReader(input), isInteractive: false);
        int code = CommandLine.RunAsync(args, terminal).GetAwaiter().GetResult();
        Out += output.ToString();
        Err += error.ToString();
        return code;
    }

    /// <summary>Runs a line as a shell would cut it: at spaces, except between quotes.</summary>
    public int Run(string line, string input = "") => Run(Split(line), input);

    public static string[] Split(string line)
    {
        var parts = new List<string>();
        for (int at = 0; at < line.Length;)
        {
            char quote = line[at];
            bool isQuoted = quote is '"' or '\'';
            int end = isQuoted ? line.IndexOf(quote, at + 1) : line.IndexOf(' ', at);
            end = end < 0 ? line.Length : end;
            string part = line[(isQuoted ? at + 1 : at)..end];
            if (part.Length > 0 || isQuoted)
            {
                parts.Add(part);
            }

            at = end + 1;
        }

        return [.. parts];
    }
}
