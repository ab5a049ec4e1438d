namespace TorchAO.Formats.Float8;

/// <summary>How many scales a float8 weight has.</summary>
public enum Float8Granularity
{
    /// <summary>One scale for each row.</summary>
    PerRow,

    /// <summary>One scale for the whole weight.</summary>
    PerTensor,
}
