using System.CommandLine;
using System.Text.Json.Nodes;
using Spectre.Console;
using TorchAO.Models.Generation;
using TorchAO.Models.Text;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao chat</c>: a conversation whose beginning the model does not read again.</summary>
internal sealed class ChatCommand
{
    private readonly ModelArguments model = new();
    private readonly QuantizeArguments quantize = new();
    private readonly GenerationArguments generation = new();

    private readonly Option<string?> system = new("--system")
    {
        Description = "What the model is told before the first turn, where its template has a place for it.",
        HelpName = "text",
    };

    private readonly Terminal terminal;

    private ChatCommand(Terminal terminal) => this.terminal = terminal;

    public static Command Create(Terminal terminal)
    {
        var chat = new ChatCommand(terminal);
        var command = new Command(
            "chat", "Talk with a model, a line a turn; /reset forgets the conversation, /exit or the end of input leaves.");
        chat.model.AddTo(command);
        chat.quantize.AddTo(command);
        chat.generation.AddTo(command);
        command.Add(chat.system);
        command.SetAction((parsed, cancellation) => Task.Run(() => chat.Run(parsed, cancellation), CancellationToken.None));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        GenerationOptions options = generation.Read(parsed);
        using LoadedModel loaded = model.Load(parsed, quantize.Rules(parsed), terminal, cancellation);
        Tokenizer tokenizer = model.OpenTokenizer(parsed, loaded.Model);
        using var generator = new TextGenerator(loaded.Model, tokenizer);
        var template = ChatTemplate.For(tokenizer);
        options = options with { StopTokenIds = template.StopTokenIds };
        if (!terminal.IsJson)
        {
            terminal.Screen.MarkupLine(
                $"[grey]{Sizes.Bytes(loaded.Bytes)} of weights, {generator.Capacity} tokens of context, template {template.Name}; " +
                "/reset forgets, /exit leaves[/]");
        }

        while (Ask(cancellation) is { } line)
        {
            if (line == "/reset")
            {
                generator.Reset();
            }
            else if (line.Length > 0)
            {
                Answer(generator, template.Turn(line, generator.TokenIds.Count == 0 ? parsed.GetValue(system) : null,
                    isFirst: generator.TokenIds.Count == 0), options, cancellation);
            }
        }

        return ExitCode.Success;
    }

    private string? Ask(CancellationToken cancellation)
    {
        if (!terminal.IsJson)
        {
            terminal.Screen.Markup("[bold]> [/]");
        }

        string? line = terminal.In.ReadLine();
        cancellation.ThrowIfCancellationRequested();
        return line == "/exit" ? null : line?.Trim();
    }

    private void Answer(TextGenerator generator, string turn, GenerationOptions options, CancellationToken cancellation)
    {
        IEnumerable<GeneratedToken> stream;
        try
        {
            stream = generator.Generate(turn, options, cancellation);
        }
        catch (ArgumentOutOfRangeException e)
        {
            // The conversation is as it was; the person decides.
            terminal.Error(e.Message + " /reset begins anew.", "context_length");
            return;
        }

        FinishReason reason = TokenStream.Write(terminal, stream);
        if (terminal.IsJson)
        {
            JsonObject facts = TokenStream.Json(generator.Statistics, reason);
            facts["conversation_tokens"] = generator.TokenIds.Count;
            terminal.WriteJson(facts, isLine: true);
        }
        else
        {
            TokenStream.WriteStatistics(terminal.Screen, generator.Statistics);
        }
    }
}
