namespace TorchAO.Models.Generation;

/// <summary>Why a text ended.</summary>
public enum FinishReason
{
    /// <summary>The model gave a token that ends a text.</summary>
    EndOfText,

    /// <summary>A stop text appeared.</summary>
    StopText,

    /// <summary>As many tokens as asked for.</summary>
    MaxNewTokens,

    /// <summary>The model's longest sequence is reached.</summary>
    ContextLength,
}
