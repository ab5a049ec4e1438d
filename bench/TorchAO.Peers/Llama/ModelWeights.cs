using TorchAO.Checkpoints;
using TorchAO.Models.Llama;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Peers.Llama;

/// <summary>The weights of a model in memory as a source for others, so that copies differ in nothing but their formats.</summary>
internal sealed class ModelWeights(LlamaForCausalLM model) : ITensorSource
{
    private readonly Dictionary<string, Parameter> parameters =
        model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);

    /// <inheritdoc/>
    public string Path => "memory";

    /// <inheritdoc/>
    public IReadOnlyList<TensorInfo> Tensors => [.. parameters.Keys.Select(Describe)];

    /// <inheritdoc/>
    public bool Contains(string name) => parameters.ContainsKey(name);

    /// <inheritdoc/>
    public TensorInfo Describe(string name) => new(name, parameters[name].dtype, parameters[name].shape);

    /// <inheritdoc/>
    public Tensor Read(string name)
    {
        using IDisposable noGradient = no_grad();
        return parameters[name].clone();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
