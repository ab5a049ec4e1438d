namespace TorchAO.Models.Llama;

/// <summary>How a step of a model runs: as fused kernels, or module by module.</summary>
/// <remarks>Both give the same numbers up to the rounding of float32 sums.</remarks>
/// <param name="Obstacle">Why not as fused kernels; <see langword="null"/> where it does.</param>
/// <param name="Reason">The same for people, with what to do about it; empty where there is no obstacle.</param>
public sealed record DecodePath(DecodeObstacle? Obstacle, string Reason)
{
    /// <summary>Gets the path of fused kernels.</summary>
    public static DecodePath Fused { get; } = new(null, string.Empty);

    /// <summary>Gets how many kernels a step launches on a GPU, and why its layers are not one launch, where they are not.</summary>
    /// <value><see langword="null"/> where nothing is launched: on the CPU, or with an obstacle.</value>
    public string? Launches { get; init; }

    /// <summary>Gets whether norms, rotary positions, attention and gates run as kernels of ours, without tensor operators.</summary>
    public bool IsFused => Obstacle is null;

    /// <summary>Says in one line how a step runs, and why.</summary>
    public override string ToString() => (IsFused, Launches) switch
    {
        (false, _) => $"modules ({Reason})",
        (true, null) => "fused kernels",
        (true, _) => $"fused kernels, {Launches}",
    };
}
