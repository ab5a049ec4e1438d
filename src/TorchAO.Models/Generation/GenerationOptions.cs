namespace TorchAO.Models.Generation;

/// <summary>How a model continues a text.</summary>
public sealed record GenerationOptions
{
    /// <summary>Gets the most tokens that are generated.</summary>
    /// <value>256 by default; the model's longest sequence ends a text too.</value>
    public int MaxNewTokens { get; init; } = 256;

    /// <summary>Gets what logits are divided by before sampling.</summary>
    /// <value>0 (the default) takes the likeliest token each time; 1 samples from the model's own distribution.</value>
    public double Temperature { get; init; }

    /// <summary>Gets how many of the likeliest tokens are kept (Fan et al. 2018, arXiv:1805.04833).</summary>
    /// <value><see langword="null"/> (the default) keeps all.</value>
    public int? TopK { get; init; }

    /// <summary>Gets the probability that the kept tokens must reach together, the likeliest first (Holtzman et al. 2020,
    /// arXiv:1904.09751).</summary>
    /// <value>1 (the default) keeps all; the token that reaches it is kept.</value>
    public double TopP { get; init; } = 1;

    /// <summary>Gets the penalty for tokens of the prompt and of the text so far: positive logits are divided by it, negative ones
    /// multiplied (Keskar et al. 2019, arXiv:1909.05858, section 4.1).</summary>
    /// <value>1 (the default) is none.</value>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Gets the seed of the samples.</summary>
    /// <value>0 by default. The same seed gives the same text for the same logits, on any device and with any count of threads.</value>
    public ulong Seed { get; init; }

    /// <summary>Gets ids that end the text, besides those of the model and its tokenizer; they are not part of it.</summary>
    public IReadOnlyList<int> StopTokenIds { get; init; } = [];

    /// <summary>Gets texts that end the text where they appear; they are not part of it.</summary>
    public IReadOnlyList<string> StopTexts { get; init; } = [];

    /// <summary>Demands values that make sense.</summary>
    /// <exception cref="ArgumentException">One does not; the message names it.</exception>
    public void Validate()
    {
        Require(MaxNewTokens >= 1, nameof(MaxNewTokens), MaxNewTokens, "at least 1");
        Require(Temperature >= 0 && double.IsFinite(Temperature), nameof(Temperature), Temperature, "0 for the likeliest token, or more");
        Require(TopK is null or >= 1, nameof(TopK), TopK, "at least 1, or nothing to keep all");
        Require(TopP is > 0 and <= 1, nameof(TopP), TopP, "more than 0 and at most 1");
        Require(RepetitionPenalty > 0 && double.IsFinite(RepetitionPenalty), nameof(RepetitionPenalty), RepetitionPenalty, "more than 0; 1 is none");
        Require(StopTexts.All(text => !string.IsNullOrEmpty(text)), nameof(StopTexts), "an empty text", "texts of a character or more");
    }

    private static void Require(bool isSound, string name, object? got, string expected)
    {
        if (!isSound)
        {
            throw new ArgumentException(FormattableString.Invariant($"{name} is {got}, expected {expected}."), name);
        }
    }
}
