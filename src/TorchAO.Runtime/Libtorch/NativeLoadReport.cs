namespace TorchAO.Runtime.Libtorch;

/// <summary>What the native boot loaded, for <c>torchao info</c> and error reports.</summary>
/// <param name="LibtorchFolder">The folder that libtorch came from.</param>
/// <param name="TorchSharpLibrary">The path of TorchSharp's native library.</param>
/// <param name="RelaxedVersions">Symbol versions that were marked weak in a private copy; empty where none had to be.</param>
public sealed record NativeLoadReport(
    string LibtorchFolder, string? TorchSharpLibrary, IReadOnlyList<string> RelaxedVersions);
