using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace TorchAO.Cli;

/// <summary>Where a command writes: text for people, or JSON for machines.</summary>
/// <remarks>Colours, live displays and progress bars appear on terminals only, and never with <c>--json</c>.</remarks>
internal sealed class Terminal
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Creates a terminal over two writers.</summary>
    /// <param name="output">Results.</param>
    /// <param name="error">Progress and errors.</param>
    /// <param name="input">Where <c>chat</c> reads.</param>
    /// <param name="isInteractive">Whether a person looks at it.</param>
    public Terminal(TextWriter output, TextWriter error, TextReader input, bool isInteractive)
    {
        Out = output;
        Err = error;
        In = input;
        IsInteractive = isInteractive;
        Screen = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = isInteractive ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = isInteractive ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = isInteractive ? InteractionSupport.Detect : InteractionSupport.No,
            Out = new AnsiConsoleOutput(output),
        });
        if (!isInteractive)
        {
            Screen.Profile.Width = 160; // files and pipes have no width of their own
        }
    }

    /// <summary>Gets where results go.</summary>
    public TextWriter Out { get; }

    /// <summary>Gets where errors go.</summary>
    public TextWriter Err { get; }

    /// <summary>Gets where answers come from.</summary>
    public TextReader In { get; }

    /// <summary>Gets the formatted screen over <see cref="Out"/>.</summary>
    public IAnsiConsole Screen { get; }

    /// <summary>Gets or sets whether results are JSON.</summary>
    public bool IsJson { get; set; }

    /// <summary>Gets whether live displays make sense.</summary>
    public bool IsLive => IsInteractive && !IsJson;

    private bool IsInteractive { get; }

    /// <summary>Makes the terminal of this process.</summary>
    public static Terminal ForConsole() => new(
        Console.Out,
        Console.Error,
        Console.In,
        isInteractive: !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb");

    /// <summary>Makes a progress bar that is gone when the work is done; what changes its length stands last, so that the rest is still.</summary>
    public Progress Bar() => Screen.Progress().AutoClear(true).Columns(
        new ProgressBarColumn { Width = 30 }, new PercentageColumn(), new RemainingTimeColumn(),
        new TaskDescriptionColumn { Alignment = Justify.Left });

    /// <summary>Writes a JSON document.</summary>
    public void WriteJson(JsonNode document, bool isLine = false) =>
        Out.WriteLine(document.ToJsonString(isLine ? JsonSerializerOptions.Default : Indented));

    /// <summary>Writes what should be looked at although the command did what it was asked: on standard error, as errors are.</summary>
    public void Warn(string message) => Error(IsJson ? message : $"warning: {message}", "warning");

    /// <summary>Writes an error: a line, or a JSON document.</summary>
    public void Error(string message, string kind)
    {
        if (IsJson)
        {
            Err.WriteLine(new JsonObject { ["error"] = kind, ["message"] = message }.ToJsonString());
        }
        else
        {
            Err.WriteLine($"torchao: {message}");
        }
    }
}
