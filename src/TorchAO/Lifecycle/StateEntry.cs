using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>One floating-point weight, other parameter or buffer of a model, under its full name.</summary>
/// <param name="Name">The name, as in checkpoints: <c>model.layers.0.mlp.up_proj.weight</c>.</param>
/// <param name="Value">The tensor; owned by the module.</param>
/// <param name="Module">The module that holds it.</param>
/// <param name="IsPersistent">Whether checkpoints hold it; false for buffers that the model computes itself.</param>
/// <param name="Site">The linear layer whose weight it is, which could be quantized instead.</param>
internal sealed record StateEntry(string Name, Tensor Value, nn.Module Module, bool IsPersistent, LayerSite? Site)
{
    /// <summary>Gets whether the tensor has a type and a shape and no values yet.</summary>
    public bool IsMeta => Value.device_type == TorchSharp.DeviceType.META;
}
