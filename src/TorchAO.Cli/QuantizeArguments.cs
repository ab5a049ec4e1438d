using System.CommandLine;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using TorchAO.Models.Llama;

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

    private readonly Option<string?> embedding = new("--embedding")
    {
        Description = "The config of the embedding table, which stays as it is without; in a tied model it is the head too.",
        HelpName = "config",
    };

    private readonly Option<string?> recipe = new("--recipe")
    {
        Description = "A JSON file with the rules, in place of the other options but --skip.",
        HelpName = "file",
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(quantize);
        command.Add(rules);
        command.Add(skips);
        command.Add(embedding);
        command.Add(recipe);
    }

    /// <summary>Reads the recipe, or <see langword="null"/> where nothing is to be quantized.</summary>
    /// <exception cref="QuantizationException">A config or a rule is malformed, or modules are skipped out of nothing.</exception>
    public QuantizeRecipe? Recipe(ParseResult parsed)
    {
        string[] skipped = parsed.GetRequiredValue(skips);
        QuantizeRecipe? written = FromFile(parsed) ?? FromOptions(parsed);
        if (written is null)
        {
            return skipped.Length == 0 ? null : throw new QuantizationException(
                $"--skip {skipped[0]} without --quantize or --rule, so nothing would be quantized; add --quantize int8wo.");
        }

        var all = new ModuleRules();
        foreach (string pattern in skipped)
        {
            all.Add(pattern, ModuleRules.Skip);
        }

        foreach (ModuleRule rule in written.Rules)
        {
            all.Add(rule.Pattern, rule.Config ?? ModuleRules.Skip, rule.Device);
        }

        return written with { Rules = all };
    }

    /// <summary>Reads the recipe of a command that makes no sense without.</summary>
    /// <exception cref="QuantizationException">There is none, or it is malformed.</exception>
    public QuantizeRecipe RequiredRecipe(ParseResult parsed) => Recipe(parsed) ?? throw new QuantizationException(
        $"no config: expected --quantize with one, {Syntax}.");

    private QuantizeRecipe? FromFile(ParseResult parsed)
    {
        if (parsed.GetValue(recipe) is not { } file)
        {
            return null;
        }

        if (parsed.GetValue(quantize) is not null || parsed.GetRequiredValue(rules).Length > 0 || parsed.GetValue(embedding) is not null)
        {
            throw new QuantizationException(
                $"--recipe {file} with --quantize, --rule or --embedding: expected one or the other; write the rules into the file.");
        }

        return File.Exists(file)
            ? QuantizeRecipe.Read(file)
            : throw new FileNotFoundException($"--recipe {file}: no such file, expected JSON with \"rules\"; correct the path.");
    }

    private QuantizeRecipe? FromOptions(ParseResult parsed)
    {
        var all = new ModuleRules();
        foreach (string rule in parsed.GetRequiredValue(rules))
        {
            // A pattern has no '=', a config may.
            int at = rule.IndexOf('=', StringComparison.Ordinal);
            if (at < 1)
            {
                throw new QuantizationException($"--rule {rule}: expected pattern=config, {Syntax}.");
            }

            all.Add(rule[..at], ConfigText.Parse(BuiltInFormats.Catalog, rule[(at + 1)..]));
        }

        if (parsed.GetValue(embedding) is { } table)
        {
            all.Add(LlamaForCausalLM.EmbeddingName, ConfigText.Parse(BuiltInFormats.Catalog, table));
        }

        if (parsed.GetValue(quantize) is { } everything)
        {
            all.Add("*", ConfigText.Parse(BuiltInFormats.Catalog, everything));
        }

        return all.Count == 0 ? null : new QuantizeRecipe(all)
        {
            Modules = parsed.GetValue(embedding) is null ? ModuleKinds.Linear : ModuleKinds.Linear | ModuleKinds.Embedding,
        };
    }
}
