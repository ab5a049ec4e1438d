using System.CommandLine;
using TorchAO.KvCache;
using TorchAO.Models.Generation;

namespace TorchAO.Cli;

/// <summary>The options that say how a model continues a text.</summary>
internal sealed class GenerationArguments
{
    private readonly Option<int> tokens = new("--max-tokens", "-n")
    {
        Description = "The most tokens to generate.",
        DefaultValueFactory = _ => 200,
        HelpName = "count",
    };

    private readonly Option<double> temperature = new("--temperature", "-t")
    {
        Description = "0 takes the likeliest token each time, 1 samples from the model's own distribution.",
        DefaultValueFactory = _ => 0,
        HelpName = "number",
    };

    private readonly Option<int?> topK = new("--top-k")
    {
        Description = "Keep so many of the likeliest tokens; all if absent.",
        HelpName = "count",
    };

    private readonly Option<double> topP = new("--top-p")
    {
        Description = "Keep the likeliest tokens that reach this probability together.",
        DefaultValueFactory = _ => 1,
        HelpName = "number",
    };

    private readonly Option<double> penalty = new("--repetition-penalty")
    {
        Description = "Divide the scores of tokens that were there before; 1 is none.",
        DefaultValueFactory = _ => 1,
        HelpName = "number",
    };

    private readonly Option<ulong> seed = new("--seed")
    {
        Description = "The seed of the samples.",
        DefaultValueFactory = _ => 0UL,
        HelpName = "number",
    };

    private readonly Option<string[]> stops = new("--stop")
    {
        Description = "A text that ends the text. May be given again.",
        DefaultValueFactory = _ => [],
        HelpName = "text",
    };

    private readonly Option<KeyValueFormat> cache = CacheOption();

    /// <summary>Makes the option that says how a cache stores keys and values.</summary>
    public static Option<KeyValueFormat> CacheOption() => new("--kv-cache")
    {
        Description = "How keys and values of the tokens so far are stored.",
        DefaultValueFactory = _ => KeyValueFormat.Float,
        HelpName = "float|int8|int4|float8",
    };

    /// <summary>Reads how the cache stores keys and values.</summary>
    public KeyValueFormat CacheFormat(ParseResult parsed) => parsed.GetRequiredValue(cache);

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(tokens);
        command.Add(temperature);
        command.Add(topK);
        command.Add(topP);
        command.Add(penalty);
        command.Add(seed);
        command.Add(stops);
        command.Add(cache);
    }

    /// <summary>Reads the options.</summary>
    /// <exception cref="ArgumentException">One makes no sense.</exception>
    public GenerationOptions Read(ParseResult parsed)
    {
        var options = new GenerationOptions
        {
            MaxNewTokens = parsed.GetRequiredValue(tokens),
            Temperature = parsed.GetRequiredValue(temperature),
            TopK = parsed.GetValue(topK),
            TopP = parsed.GetRequiredValue(topP),
            RepetitionPenalty = parsed.GetRequiredValue(penalty),
            Seed = parsed.GetRequiredValue(seed),
            StopTexts = parsed.GetRequiredValue(stops),
        };
        options.Validate();
        return options;
    }
}
