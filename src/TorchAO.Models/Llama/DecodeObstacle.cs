namespace TorchAO.Models.Llama;

/// <summary>Why a step of a model does not run as fused kernels.</summary>
public enum DecodeObstacle
{
    /// <summary><see cref="LlamaForCausalLM.UsesFusedDecode"/> is off.</summary>
    SwitchedOff,

    /// <summary>There is no cache: the whole text is read at once.</summary>
    NoCache,

    /// <summary>More new tokens than the kernels take, such as a prompt: their products are large enough to pay for operators.</summary>
    ManyTokens,

    /// <summary>Gradients are recorded.</summary>
    Gradients,

    /// <summary>The model is on a device without kernels: neither the CPU nor CUDA.</summary>
    Device,

    /// <summary>The model computes in a type that the kernels do not take.</summary>
    Type,

    /// <summary>The cache is on another device, of another type or for a model of another shape.</summary>
    Cache,

    /// <summary>A module whose work the kernels take over has a hook, which would not be called.</summary>
    Hook,

    /// <summary>A layer has no kernel that a CUDA graph could replay.</summary>
    Layer,
}
