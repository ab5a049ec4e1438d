using System.CommandLine;
using System.Text.Json.Nodes;
using TorchAO.Lifecycle;
using TorchAO.Models.Llama;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao explain</c>: what quantizing would do, layer by layer, without doing it.</summary>
internal static class ExplainCommand
{
    public static Command Create(Terminal terminal)
    {
        var model = new ModelArguments();
        var quantize = new QuantizeArguments();
        var command = new Command("explain", "Say what quantize would do: format, kernel and bytes of each layer, or why it stays.");
        model.AddTo(command);
        quantize.AddTo(command);
        command.SetAction(parsed =>
        {
            using LlamaForCausalLM loaded = model.Load(parsed);
            QuantizeReport report = CommandWords.Of(loaded.Explain(quantize.RequiredRecipe(parsed)));
            if (terminal.IsJson)
            {
                terminal.WriteJson(JsonNode.Parse(report.ToJson())!);
            }
            else
            {
                LayerTable.Write(terminal.Screen, report);
            }

            if (!report.Quantized.Any())
            {
                terminal.Warn(
                    $"0 of {report.Layers.Count} layers would be quantized, so quantize would refuse: {report.DescribeUnquantized()}. " +
                    "Change the config or the rules.");
            }

            return ExitCode.Success;
        });
        return command;
    }
}
