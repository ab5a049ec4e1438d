using TorchAO.Models.Llama;

namespace TorchAO.Models.Generation;

/// <summary>What a generation took.</summary>
/// <param name="PromptTokens">The tokens that the model read before the first of its own.</param>
/// <param name="NewTokens">The tokens that the model gave.</param>
/// <param name="PrefillMilliseconds">From the call to the first token.</param>
/// <param name="DecodeMilliseconds">From the first token to the last; time that the caller spent between two is not counted.</param>
/// <param name="WeightBytesPerToken">The weights that each step reads.</param>
public sealed record GenerationStatistics(
    int PromptTokens, int NewTokens, double PrefillMilliseconds, double DecodeMilliseconds, long WeightBytesPerToken)
{
    /// <summary>Gets the size of the cache of keys and values, which is allocated for the longest sequence.</summary>
    public long CacheBytes { get; init; }

    /// <summary>Gets the bytes that one token takes in that cache, all layers together.</summary>
    public long CacheBytesPerToken { get; init; }

    /// <summary>Gets how each token behind the first is computed: by fused kernels, or module by module and why.</summary>
    public DecodePath? DecodePath { get; init; }

    /// <summary>Gets the speed of decode: tokens behind the first, by their time; 0 where there is none.</summary>
    public double TokensPerSecond => NewTokens > 1 && DecodeMilliseconds > 0 ? (NewTokens - 1) * 1000 / DecodeMilliseconds : 0;

    /// <summary>Gets the weights that decode read, in 10⁹ bytes a second.</summary>
    public double GigabytesPerSecond => TokensPerSecond * WeightBytesPerToken / 1e9;
}
