using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Spectre.Console;
using TorchAO.Checkpoints;
using TorchAO.Models.Llama.Loading;
using static TorchSharp.torch;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao quantize</c>: a smaller model on disk, tensor by tensor.</summary>
internal sealed class QuantizeCommand
{
    private const int ProbeTokens = 16;

    private readonly ModelArguments model = new();
    private readonly QuantizeArguments quantize = new();

    private readonly Option<string> output = new("--output", "-o")
    {
        Description = "The folder to make.",
        Required = true,
        HelpName = "folder",
    };

    private readonly Option<bool> force = new("--force", "-f")
    {
        Description = "Replace the folder if it is there; the old one stays until the new one is complete.",
    };

    private readonly Terminal terminal;

    private QuantizeCommand(Terminal terminal) => this.terminal = terminal;

    public static Command Create(Terminal terminal)
    {
        var quantize = new QuantizeCommand(terminal);
        var command = new Command(
            "quantize", "Quantize a model on disk, one tensor at a time; memory holds the quantized model and one layer more.");
        quantize.model.AddTo(command);
        quantize.quantize.AddTo(command);
        command.Add(quantize.output);
        command.Add(quantize.force);
        command.SetAction((parsed, cancellation) => Task.Run(() => quantize.Run(parsed, cancellation), CancellationToken.None));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        long begin = Stopwatch.GetTimestamp();
        var target = new TargetFolder(parsed.GetRequiredValue(output), parsed.GetValue(force));
        using LoadedModel loaded = model.Load(parsed, quantize.RequiredRecipe(parsed), terminal, cancellation, measuresError: true);
        using Tensor probe = Probe(loaded.Model.Config.VocabSize, loaded.Model.Device);
        target.Fill(folder => LlamaSaver.Save(
            loaded.Model, folder, model.Path(parsed), probe, new SaveOptions { CancellationToken = cancellation }));
        Write(target.Path, loaded, Stopwatch.GetElapsedTime(begin));
        return ExitCode.Success;
    }

    // Ids from all over the vocabulary; which they are does not matter, only that they are the same each time.
    private static Tensor Probe(int vocabulary, Device device) =>
        tensor([.. Enumerable.Range(0, ProbeTokens).Select(i => (long)(i * 7919 % vocabulary))], [1, ProbeTokens], device: device);

    private void Write(string folder, LoadedModel loaded, TimeSpan took)
    {
        if (terminal.IsJson)
        {
            terminal.WriteJson(new JsonObject
            {
                ["output"] = folder,
                ["model_bytes_before"] = loaded.BytesBefore,
                ["model_bytes"] = loaded.Bytes,
                ["seconds"] = Math.Round(took.TotalSeconds, 3),
                ["peak_memory_bytes"] = Memory.PeakBytes,
                ["report"] = JsonNode.Parse(loaded.Report!.ToJson()),
            });
            return;
        }

        LayerTable.Write(terminal.Screen, loaded.Report!);
        terminal.Screen.MarkupLine(
            $"model {Sizes.Bytes(loaded.BytesBefore)} -> [bold]{Sizes.Bytes(loaded.Bytes)}[/] " +
            FormattableString.Invariant($"({(double)loaded.BytesBefore / loaded.Bytes:F2} times smaller), {took.TotalSeconds:F1} s, ") +
            $"peak memory {Sizes.Bytes(Memory.PeakBytes)}");
        terminal.Out.WriteLine($"run it: torchao generate --model {folder}");
    }
}
