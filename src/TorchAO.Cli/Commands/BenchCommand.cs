using System.CommandLine;
using System.CommandLine.Parsing;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao bench</c>: how fast products and models are on this machine, against float and against memory.</summary>
internal static class BenchCommand
{
    public static Command Create(Terminal terminal) =>
        new("bench", "Measure on this machine, in turns with float: single products, generating tokens, reading prompts.")
        {
            BenchKernels.Create(terminal),
            BenchModel.CreateDecode(terminal),
            BenchModel.CreatePrefill(terminal),
        };

    /// <summary>Makes an option that takes a count of at least one.</summary>
    internal static Option<int> Count(string name, string description, int usual)
    {
        var option = new Option<int>(name) { Description = description, HelpName = "count", DefaultValueFactory = _ => usual };
        option.Validators.Add(result => RequirePositive(result, result.GetValueOrDefault<int>()));
        return option;
    }

    /// <summary>Refuses a count below one.</summary>
    internal static void RequirePositive(OptionResult result, int count)
    {
        if (count < 1)
        {
            result.AddError($"{result.Option.Name} {count}, expected 1 or more.");
        }
    }
}
