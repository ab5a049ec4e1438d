using TorchAO.Checkpoints;
using static TorchSharp.torch;

namespace TorchAO.Examples;

/// <summary>A file whose tensors have other names than the network's.</summary>
/// <param name="source">The file; not owned.</param>
/// <param name="rename">Makes the network's name of the file's.</param>
internal sealed class RenamedTensors(ITensorSource source, Func<string, string> rename) : ITensorSource
{
    private readonly Dictionary<string, string> stored = source.Tensors.ToDictionary(tensor => rename(tensor.Name), tensor => tensor.Name);

    public string Path => source.Path;

    public IReadOnlyList<TensorInfo> Tensors => [.. stored.Keys.Select(Describe)];

    public bool Contains(string name) => stored.ContainsKey(name);

    public TensorInfo Describe(string name) => source.Describe(stored.GetValueOrDefault(name, name)) with { Name = name };

    public Tensor Read(string name) => source.Read(stored.GetValueOrDefault(name, name));

    public void Dispose()
    {
        // The file belongs to who opened it.
    }
}
