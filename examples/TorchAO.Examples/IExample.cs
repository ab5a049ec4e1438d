using TorchAO.Configuration;
using static TorchSharp.torch;

namespace TorchAO.Examples;

/// <summary>A network with its trained weights, what it reads, and how good it is.</summary>
internal interface IExample
{
    /// <summary>Gets the name on the command line.</summary>
    string Name { get; }

    /// <summary>Gets what the network is and what it is measured on.</summary>
    string Title { get; }

    /// <summary>Gets what <see cref="Measure"/> gives, such as <c>accuracy</c>.</summary>
    string MeasureName { get; }

    /// <summary>Gets the ways to quantize it, each with a name.</summary>
    IReadOnlyList<(string Name, ModuleRules Rules)> Recipes { get; }

    /// <summary>Builds the network and loads its weights. The caller disposes it.</summary>
    nn.Module<Tensor, Tensor> Load();

    /// <summary>Reads the inputs. The caller disposes them.</summary>
    Tensor Inputs();

    /// <summary>Says how good outputs are, in percent.</summary>
    double Measure(Tensor outputs);
}
