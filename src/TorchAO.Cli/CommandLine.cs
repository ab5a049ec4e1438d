using System.CommandLine;
using TorchAO.Checkpoints;
using TorchAO.Cli.Commands;
using TorchAO.Runtime.Libtorch;

namespace TorchAO.Cli;

/// <summary>The commands, and what becomes of their errors.</summary>
internal static class CommandLine
{
    private const string Json = "--json";

    /// <summary>Makes all commands.</summary>
    /// <param name="terminal">Where they read and write.</param>
    public static RootCommand CreateRoot(Terminal terminal) => new("Quantize language models and prove that they are still as good.")
    {
        new Option<bool>(Json)
        {
            Description = "Print one JSON document (generate and chat: one a line) and nothing else.",
            Recursive = true,
        },
        QuantizeCommand.Create(terminal),
        ExplainCommand.Create(terminal),
        AutoQuantCommand.Create(terminal),
        GenerateCommand.Create(terminal),
        ChatCommand.Create(terminal),
        EvalCommand.Create(terminal),
        BenchCommand.Create(terminal),
        InfoCommand.Create(terminal),
        ConfigsCommand.Create(terminal),
    };

    /// <summary>Parses a command line and runs it.</summary>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(string[] args, Terminal terminal)
    {
        RootCommand root = CreateRoot(terminal);
        HelpExamples.AddTo(root);
        ParseResult parsed = root.Parse(args);
        terminal.IsJson = parsed.GetValue<bool>(Json);
        if (parsed.Errors.Count > 0)
        {
            if (parsed.UnmatchedTokens.Count == 0 && parsed.CommandResult.Command is { Subcommands.Count: > 0 } group)
            {
                terminal.Error(Choices(group), "usage");
                return ExitCode.Usage;
            }

            foreach (string message in parsed.Errors.Select(error => error.Message))
            {
                terminal.Error(string.Join(' ', message.Split('\n', StringSplitOptions.TrimEntries)), "usage");
            }

            return ExitCode.Usage;
        }

        var invocation = new InvocationConfiguration
        {
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = TimeSpan.FromSeconds(10), // for commands to leave their files as they were
            Output = terminal.Out,
            Error = terminal.Err,
        };
        try
        {
            if (parsed.Action is not HelpExamples && parsed.CommandResult.Command != root)
            {
                NativeLoader.EnsureLoaded(); // here and not in a startup hook, so that a missing libtorch is told like any error
            }

            return await parsed.InvokeAsync(invocation).ConfigureAwait(false);
        }
        catch (ArgumentException e)
        {
            terminal.Error(e.Message.Split(" (Parameter")[0], "usage");
            return ExitCode.Usage;
        }
        catch (OperationCanceledException)
        {
            terminal.Error("interrupted; no file was changed.", "interrupted");
            return ExitCode.Interrupted;
        }
        catch (QuantizationException e)
        {
            terminal.Error(CommandWords.Of(e.Message), nameof(QuantizationException));
            return ExitCode.Failure;
        }
        catch (Exception e) when (e is CheckpointException or IOException or UnauthorizedAccessException
                                      or InvalidDataException or DllNotFoundException)
        {
            terminal.Error(e.Message, e.GetType().Name);
            return ExitCode.Failure;
        }
    }

    // The parser's own words are that a command is required, not which ones there are.
    private static string Choices(Command group)
    {
        string path = group is RootCommand ? "torchao" : $"torchao {group.Name}";
        string[] names = [.. group.Subcommands.Select(command => command.Name)];
        string example = HelpExamples.Lines.TryGetValue(group is RootCommand ? "generate" : group.Name, out string[]? lines) ? lines[0] : path;
        return $"{path} without a command, expected {string.Join(", ", names[..^1])} or {names[^1]}, such as: {example}. " +
            $"{path} --help says what each does.";
    }
}
