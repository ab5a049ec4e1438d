namespace TorchAO.Models.Evaluation;

/// <summary>How well a model predicts a text.</summary>
/// <param name="Tokens">The count of predictions.</param>
/// <param name="NegativeLogLikelihood">The mean of −ln p(next token), in nats a token.</param>
/// <param name="Accuracy">The share of predictions whose likeliest token is the next one.</param>
/// <param name="Divergence">The distance to a reference model, where one was given.</param>
public sealed record LanguageModelScore(
    long Tokens, double NegativeLogLikelihood, double Accuracy, ReferenceDivergence? Divergence = null)
{
    /// <summary>Gets the perplexity, <c>exp</c> of the negative log-likelihood.</summary>
    public double Perplexity => Math.Exp(NegativeLogLikelihood);
}
