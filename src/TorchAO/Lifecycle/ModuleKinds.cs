namespace TorchAO.Lifecycle;

/// <summary>The kinds of modules that <c>Quantize</c> and <c>Explain</c> look at.</summary>
[Flags]
public enum ModuleKinds
{
    /// <summary>No module; not a valid choice.</summary>
    None = 0,

    /// <summary>Linear layers, torchao's default.</summary>
    Linear = 1,

    /// <summary>Embedding tables, <c>TorchSharp.Modules.Embedding</c>.</summary>
    Embedding = 2,

    /// <summary>Convolutions, <c>TorchSharp.Modules.Conv1d</c> and <c>Conv2d</c>.</summary>
    Convolution = 4,

    /// <summary>All of these.</summary>
    All = Linear | Embedding | Convolution,
}
