using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats;

/// <summary>A format's card: everything the rest of the library may know about it.</summary>
public interface IFormat
{
    /// <summary>Gets the stable name, as in files and reports: <c>int8</c>.</summary>
    string Name { get; }

    /// <summary>Gets one line for listings: what is stored, and at how many bits a weight.</summary>
    string Summary { get; }

    /// <summary>Gets the handlers of the format's configs.</summary>
    IReadOnlyList<IQuantizeHandler> Handlers { get; }

    /// <summary>Gets the kernels' names in order of preference, without the reference.</summary>
    IReadOnlyList<string> Kernels { get; }

    /// <summary>Makes the format's usual grid for a row length, as algorithms and contract tests see it.</summary>
    /// <param name="inFeatures">K, the length of a row.</param>
    IQuantizationGrid CreateGrid(long inFeatures);

    /// <summary>Rebuilds a tensor from what a checkpoint holds.</summary>
    /// <param name="stored">Components, parameters, shape and type; the components change owner unless this throws.</param>
    /// <returns>The tensor. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">Components or parameters do not make a tensor of this format.</exception>
    QuantizedTensor Read(StoredTensor stored);

    /// <summary>Joins a weight of this format with its kernels.</summary>
    /// <param name="weight">The weight; owned by the executor from then on.</param>
    /// <param name="kernel">The only kernel to use, for tests and measurements; where it refuses a problem, the reference runs.
    /// All kernels in order of preference if absent; "reference" stands for none of them.</param>
    /// <param name="activation">How activations are rounded; they stay in floating point if absent.</param>
    /// <exception cref="QuantizationException">The format has no such kernel.</exception>
    LinearExecutor CreateExecutor(QuantizedTensor weight, string? kernel = null, ActivationScheme? activation = null);

    /// <summary>Says which kernel would run a problem, without a weight.</summary>
    KernelChoice Explain(in LinearProblem problem);
}
