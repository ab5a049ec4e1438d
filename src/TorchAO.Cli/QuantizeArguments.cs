using System.CommandLine;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;

namespace TorchAO.Cli;

/// <summary>The options that say how each layer is quantized.</summary>
internal sealed class QuantizeArguments
{
    private const string Syntax = "such as int4wo-32, int8wo or \"int4_weight_only(group_size=32, mapping_type=symmetric)\"";

    private readonly Option<string?> quantize = new("--quantize", "-q")
    {
        Description = $"The config of all layers that no rule names, {Syntax}.",
        HelpName = "config",
    };

    private readonly Option<string[]> rules = new("--rule", "-r")
    {
        Description = "A rule for the modules whose names match, as pattern=config; first match wins. May be given again.",
        HelpName = "pattern=config",
        DefaultValueFactory = _ => [],
    };

    private readonly Option<string[]> skips = new("--skip")
    {
        Description = "A pattern of modules that stay as they are. May be given again; goes before all rules.",
        HelpName = "pattern",
        DefaultValueFactory = _ => [],
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(quantize);
        command.Add(rules);
        command.Add(skips);
    }

    /// <summary>Reads the rules, or <see langword="null"/> where nothing is to be quantized.</summary>
    /// <exception cref="QuantizationException">A config or a rule is malformed, or modules are skipped out of nothing.</exception>
    public ModuleRules? Rules(ParseResult parsed)
    {
        string[] skipped = parsed.GetRequiredValue(skips);
        string[] given = parsed.GetRequiredValue(rules);
        string? everything = parsed.GetValue(quantize);
        if (everything is null && given.Length == 0)
        {
            return skipped.Length == 0 ? null : throw new QuantizationException(
                $"--skip {skipped[0]} without --quantize or --rule, so nothing would be quantized; add --quantize int8wo.");
        }

        var all = new ModuleRules();
        foreach (string pattern in skipped)
        {
            all.Add(pattern, ModuleRules.Skip);
        }

        foreach (string rule in given)
        {
            // A pattern has no '=', a config may.
            int at = rule.IndexOf('=', StringComparison.Ordinal);
            if (at < 1)
            {
                throw new QuantizationException($"--rule {rule}: expected pattern=config, {Syntax}.");
            }

            all.Add(rule[..at], ConfigText.Parse(BuiltInFormats.Catalog, rule[(at + 1)..]));
        }

        if (everything is not null)
        {
            all.Add("*", ConfigText.Parse(BuiltInFormats.Catalog, everything));
        }

        return all;
    }

    /// <summary>Reads the rules of a command that makes no sense without.</summary>
    /// <exception cref="QuantizationException">There are none, or one is malformed.</exception>
    public ModuleRules RequiredRules(ParseResult parsed) => Rules(parsed) ?? throw new QuantizationException(
        $"no config: expected --quantize with one, {Syntax}.");
}
