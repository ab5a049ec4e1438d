using System.Collections;
using System.Text.RegularExpressions;
using TorchSharp;

namespace TorchAO.Configuration;

/// <summary>Rules by module name, in order: the first whose pattern matches decides; a module that none matches stays as it is.</summary>
/// <remarks>
/// In a pattern <c>*</c> stands for any run of characters, dots included, and <c>?</c> for one; <c>re:</c> introduces a
/// regular expression over the whole name. Letter case counts. A root that is itself a linear layer has the name <c>(root)</c>.
/// </remarks>
/// <example><code>new ModuleRules { ["lm_head"] = ModuleRules.Skip, ["*"] = config }</code></example>
public sealed class ModuleRules : IReadOnlyList<ModuleRule>
{
    private readonly List<ModuleRule> rules = [];
    private readonly List<Regex> patterns = [];

    /// <summary>Gets what a rule says that leaves its modules as they are, on purpose.</summary>
    public static QuantizeConfig Skip { get; } = new SkipConfig();

    /// <inheritdoc/>
    public int Count => rules.Count;

    /// <inheritdoc/>
    public ModuleRule this[int index] => rules[index];

    /// <summary>Adds a rule after those that are there.</summary>
    /// <param name="pattern">The pattern.</param>
    /// <exception cref="ArgumentException">The pattern is empty, not a regular expression, or already there.</exception>
    public QuantizeConfig this[string pattern]
    {
        set => Add(pattern, value);
    }

    /// <summary>Makes rules that give every module one config.</summary>
    public static ModuleRules All(QuantizeConfig config) => new() { ["*"] = config };

    /// <summary>Adds a rule after those that are there.</summary>
    /// <param name="pattern">The pattern.</param>
    /// <param name="config">What to do; <see cref="Skip"/> leaves the modules as they are.</param>
    /// <param name="device">Where the quantized weights go; where the weights are, if absent.</param>
    /// <exception cref="ArgumentException">The pattern is empty, not a regular expression, or already there.</exception>
    public void Add(string pattern, QuantizeConfig config, torch.Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        ArgumentNullException.ThrowIfNull(config);
        if (string.IsNullOrWhiteSpace(pattern))
        {
            throw new ArgumentException(
                $"rule number {rules.Count + 1} has an empty pattern; write a module's name, or * for all.", nameof(pattern));
        }

        if (rules.Any(rule => rule.Pattern == pattern))
        {
            throw new ArgumentException(
                $"rule '{pattern}' stands twice; the second would never decide. Remove one of the two.", nameof(pattern));
        }

        patterns.Add(Compile(pattern));
        rules.Add(new ModuleRule(pattern, config is SkipConfig ? null : config, device));
    }

    /// <summary>Finds the rule that decides for a module, or <see langword="null"/> where none matches.</summary>
    public ModuleRule? Find(string moduleName)
    {
        int index = patterns.FindIndex(pattern => pattern.IsMatch(moduleName));
        return index < 0 ? null : rules[index];
    }

    /// <summary>Says whether a rule's pattern matches a name, whatever the rules before it say.</summary>
    internal bool Matches(int index, string moduleName) => patterns[index].IsMatch(moduleName);

    /// <inheritdoc/>
    public IEnumerator<ModuleRule> GetEnumerator() => rules.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static Regex Compile(string pattern)
    {
        bool isRegex = pattern.StartsWith("re:", StringComparison.Ordinal);
        string expression = isRegex
            ? pattern[3..]
            : Regex.Escape(pattern).Replace("\\*", ".*", StringComparison.Ordinal).Replace("\\?", ".", StringComparison.Ordinal);
        try
        {
            // Alone first, so that an error quotes what was written and not what surrounds it.
            _ = new Regex(expression, RegexOptions.CultureInvariant);
            return new Regex($"^(?:{expression})$", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
        }
        catch (RegexParseException e)
        {
            throw new ArgumentException(
                $"rule '{pattern}' is not a regular expression: {e.Message.TrimEnd('.')}. Correct it, or write a name with * and ?.", nameof(pattern), e);
        }
    }

    private sealed record SkipConfig : QuantizeConfig;
}
