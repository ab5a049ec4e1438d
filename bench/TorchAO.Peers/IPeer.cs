using static TorchSharp.torch;

namespace TorchAO.Peers;

/// <summary>A library that takes part.</summary>
internal interface IPeer
{
    /// <summary>Gets the library's name and version.</summary>
    string Name { get; }

    /// <summary>Gets why it cannot take part, and what to do; <see langword="null"/> where it can.</summary>
    string? Absence { get; }

    /// <summary>Makes its contestants for a weight.</summary>
    /// <param name="weight">float32 <c>[N, K]</c>; stays the caller's.</param>
    /// <param name="threads">How many threads each contestant may use.</param>
    /// <returns>The contestants. The caller disposes them.</returns>
    IEnumerable<Contestant> Enter(Tensor weight, int threads);
}
