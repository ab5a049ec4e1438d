using static TorchSharp.torch;

namespace TorchAO.Checkpoints;

/// <summary>Named tensors on disk that are read one by one, so that a model larger than memory can pass through.</summary>
public interface ITensorSource : IDisposable
{
    /// <summary>Gets the file or folder, for messages.</summary>
    string Path { get; }

    /// <summary>Gets all tensors.</summary>
    IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Tells whether there is a tensor of this name.</summary>
    bool Contains(string name);

    /// <summary>Gets what is said of one tensor.</summary>
    /// <exception cref="CheckpointException">There is no tensor of this name; the message lists near ones.</exception>
    TensorInfo Describe(string name);

    /// <summary>Reads one tensor into memory of its own, on the CPU. The caller disposes it.</summary>
    /// <exception cref="CheckpointException">There is no tensor of this name, or its bytes are no values of its type.</exception>
    Tensor Read(string name);
}
