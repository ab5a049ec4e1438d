namespace TorchAO.Tests.Golden;

/// <summary>Runs our counterpart of a recorded call. Any class of this assembly that implements it takes
/// part.</summary>
internal interface IGoldenHandler
{
    /// <summary>Whether this handler runs a case, decided by its area, call, parameters and tensors, never by its
    /// id, so that an unseen set of the same shape runs too.</summary>
    bool Handles(GoldenCase recorded);

    /// <summary>Computes every output and hands each to <see cref="GoldenRun.Expect"/>; a call that torchao refuses
    /// goes through <see cref="GoldenRun.Refuses"/>.</summary>
    void Run(GoldenCase recorded, GoldenRun run);
}
