using System.CommandLine;
using System.Text.Json.Nodes;
using Spectre.Console;
using TorchAO.Models.Generation;
using TorchAO.Models.Text;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao chat</c>: a conversation whose beginning the model does not read again.</summary>
internal sealed class ChatCommand
{
    private readonly GenerationRequest request = new();

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
        Command command = chat.request.CreateCommand(
            "chat", "Talk with a model, a line a turn; /reset forgets the conversation, /exit or the end of input leaves.", chat.Run);
        command.Add(chat.system);
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        (LoadedModel loaded, Tokenizer tokenizer, GenerationOptions options) = request.Open(parsed, terminal, cancellation);
        using LoadedModel owned = loaded;
        using var generator = new TextGenerator(loaded.Model, tokenizer, cacheFormat: request.CacheFormat(parsed));
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
                bool isFirst = generator.TokenIds.Count == 0;
                string turn = template.Turn(line, isFirst ? parsed.GetValue(system) : null, isFirst);
                Answer(generator, turn, options, cancellation);
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
