using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>All that the walk of a model found.</summary>
/// <param name="Sites">The linear layers, and the modules that keep linear layers inside libtorch.</param>
/// <param name="Modules">The other modules with their full names, each once; a module stands before its children.</param>
internal sealed record ModelTree(
    IReadOnlyList<LayerSite> Sites, IReadOnlyList<(string Name, nn.Module Module)> Modules);
