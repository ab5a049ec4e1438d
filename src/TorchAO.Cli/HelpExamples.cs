using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace TorchAO.Cli;

/// <summary>Help that closes with lines to copy.</summary>
internal sealed class HelpExamples(HelpAction usual) : SynchronousCommandLineAction
{
    /// <summary>Gets the lines of each command, by its name.</summary>
    public static IReadOnlyDictionary<string, string[]> Lines { get; } = new Dictionary<string, string[]>
    {
        ["quantize"] =
        [
            "torchao quantize --quantize int8wo --output stories-int8",
            "torchao quantize --quantize int4wo-32 --rule \"*down_proj=int8wo\" --output stories-int4 --force",
        ],
        ["explain"] = ["torchao explain --quantize int4wo-32", "torchao explain --quantize int8wo --skip lm_head --json"],
        ["autoquant"] =
        [
            "torchao autoquant --candidates weight-only --min-sqnr 20 --within 20 --output recipe.json",
            "torchao autoquant --candidates int8wo --candidates int4wo-32 --prompt-tokens 0 --cache times.txt --json",
        ],
        ["generate"] =
        [
            "torchao generate --quantize int4wo-32 --rule \"*down_proj=int8wo\" \"Once upon a time\"",
            "torchao generate --model stories-int4 --temperature 0.8 --top-p 0.9 --seed 7 \"The dog\"",
        ],
        ["chat"] = ["torchao chat --model stories-int4 --max-tokens 60"],
        ["eval"] = ["torchao eval --documents 20", "torchao eval --quantize int4wo-32 --rule \"*down_proj=int8wo\" --json"],
        ["bench"] = ["torchao bench kernels", "torchao bench decode --shape 1b --quantize int8wo"],
        ["kernels"] =
        [
            "torchao bench kernels --shape 4096x14336 --rows 1,512 --quantize int8wo --quantize int4wo-32",
            "torchao bench kernels --all --rows 1 --json",
        ],
        ["decode"] =
        [
            "torchao bench decode --quantize int8wo",
            "torchao bench decode --shape 1b --quantize int4wo-32 --embedding int8wo --max-tokens 16",
        ],
        ["prefill"] = ["torchao bench prefill --shape 110m --prompt-tokens 512 --quantize int8_dynamic_activation_int8_weight"],
        ["configs"] = ["torchao configs", "torchao configs --json"],
        ["info"] = ["torchao info", "torchao info stories-int4 --json"],
    };

    /// <summary>Gets that a command line that asks for help may lack the rest.</summary>
    public override bool ClearsParseErrors => true;

    /// <summary>Lets the help of all commands below a root end with examples.</summary>
    public static void AddTo(RootCommand root)
    {
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpExamples((HelpAction)help.Action!);
    }

    public override int Invoke(ParseResult parseResult)
    {
        int code = usual.Invoke(parseResult);
        if (Lines.TryGetValue(parseResult.CommandResult.Command.Name, out string[]? lines))
        {
            TextWriter output = parseResult.InvocationConfiguration.Output;
            output.WriteLine("Examples:");
            foreach (string line in lines)
            {
                output.WriteLine($"  {line}");
            }
        }

        return code;
    }
}
