namespace TorchAO.Models.Generation;

/// <summary>A step of a stream: a token and the text that it completes.</summary>
/// <param name="Id">The token.</param>
/// <param name="Text">The new text; empty where a character, or what may become a stop text, is not complete yet.</param>
/// <param name="FinishReason">Why the text ends here; <see langword="null"/> on all steps but the last.</param>
public readonly record struct GeneratedToken(int Id, string Text, FinishReason? FinishReason);
