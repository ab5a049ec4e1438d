using TorchAO.Checkpoints;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama.Loading;

/// <summary>Moves the tensors of a checkpoint into a model, after all names and shapes have been compared.</summary>
internal static class LlamaWeights
{
    private const string Remedy = "The folder mixes two models, or was not fetched whole: compare config.json with the weights.";

    // What older exports carry along, and nobody reads.
    private static readonly string[] Ignored = ["rotary_emb.inv_freq", "masked_bias", "attn.bias"];

    /// <summary>Fills every parameter of a model.</summary>
    /// <param name="model">The model; untouched where the checkpoint does not fit. Parameters on <c>meta</c> become real.</param>
    /// <param name="source">The checkpoint.</param>
    /// <param name="dtype">The type of the weights in the model.</param>
    /// <param name="device">The device of the model.</param>
    /// <exception cref="CheckpointException">A tensor is missing, too many, of another shape, or holds no floats.</exception>
    public static void Load(LlamaForCausalLM model, ITensorSource source, ScalarType dtype, Device device)
    {
        Verify(model, source);
        foreach ((string name, nn.Module module) in model.named_modules())
        {
            switch (module)
            {
                case Linear linear:
                    linear.weight = Read(source, $"{name}.weight", dtype, device);
                    if (linear.bias is not null)
                    {
                        linear.bias = Read(source, $"{name}.bias", dtype, device);
                    }

                    break;
                case Embedding embedding:
                    embedding.weight = Read(source, $"{name}.weight", dtype, device);
                    break;
                case RmsNorm norm:
                    norm.Weight = Read(source, $"{name}.weight", dtype, device);
                    break;
            }
        }
    }

    private static void Verify(LlamaForCausalLM model, ITensorSource source)
    {
        HashSet<string> wanted = new(StringComparer.Ordinal);
        foreach ((string name, Parameter parameter) in model.named_parameters())
        {
            wanted.Add(name);
            TensorInfo info = source.Describe(name);
            if (!info.Shape.SequenceEqual(parameter.shape))
            {
                throw new CheckpointException(
                    CheckpointError.ShapeMismatch, $"{source.Path}: tensor {name}", "a tensor does not fit the model",
                    $"[{string.Join(", ", info.Shape)}]", $"[{string.Join(", ", parameter.shape)}]", Remedy);
            }

            if (info.DType is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16 or ScalarType.Float64))
            {
                throw new CheckpointException(
                    CheckpointError.UnsupportedDType, $"{source.Path}: tensor {name}", "a weight is no float", $"{info.DType}",
                    "Float32, BFloat16, Float16 or Float64", "Load the float model; quantized files have a loader of their own.");
            }
        }

        foreach (string name in source.Tensors.Select(tensor => tensor.Name))
        {
            bool isHeadAgain = name == "lm_head.weight" && model.Config.IsTied;
            if (!wanted.Contains(name) && !isHeadAgain && !Ignored.Any(end => name.EndsWith(end, StringComparison.Ordinal)))
            {
                throw new CheckpointException(
                    CheckpointError.UnexpectedTensor, $"{source.Path}: tensor {CheckpointException.Quote(name)}",
                    "the model has no place for a tensor", "a tensor more", $"the {wanted.Count} of the model", Remedy);
            }
        }
    }

    private static Parameter Read(ITensorSource source, string name, ScalarType dtype, Device device)
    {
        using Tensor stored = source.Read(name);
        return new Parameter(stored.to(dtype, device).DetachFromDisposeScope());
    }
}
