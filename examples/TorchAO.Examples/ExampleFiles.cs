using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using static TorchSharp.torch;

namespace TorchAO.Examples;

/// <summary>The weights and inputs beside the program.</summary>
internal static class ExampleFiles
{
    /// <summary>Gets the path of a file.</summary>
    public static string Path(string name) => System.IO.Path.Combine(AppContext.BaseDirectory, "assets", name);

    /// <summary>Fills a network from a safetensors file and makes it ready to compute.</summary>
    public static void Fill(nn.Module model, string name, Func<string, string>? rename = null)
    {
        using var file = SafetensorsFile.Open(Path(name));
        using ITensorSource source = rename is null ? file : new RenamedTensors(file, rename);
        model.LoadWeights(source);
        model.eval();
    }

    /// <summary>Reads one tensor. The caller disposes it.</summary>
    public static Tensor Read(string name, string tensor)
    {
        using var file = SafetensorsFile.Open(Path(name));
        return file.Read(tensor);
    }

    /// <summary>Counts how many rows of scores have their greatest at the label, in percent.</summary>
    public static double Accuracy(Tensor scores, string name)
    {
        using Tensor labels = Read(name, "labels");
        using Tensor hits = scores.argmax(1).eq(labels).to(ScalarType.Float64).mean();
        return 100 * hits.item<double>();
    }
}
