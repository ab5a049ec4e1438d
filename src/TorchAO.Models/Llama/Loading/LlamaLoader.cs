using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama.Loading;

/// <summary>Opens models of the Llama family on disk.</summary>
public static class LlamaLoader
{
    private const string ConfigName = "config.json";

    /// <summary>Loads a model with float weights: a Hugging Face folder, or a <c>.bin</c> file of llama2.c.</summary>
    /// <param name="path">The folder with <c>config.json</c> and one or many safetensors files, or the file.</param>
    /// <param name="dtype">The type of weights and activations; that of the checkpoint if absent.</param>
    /// <param name="device">The device; the CPU if absent.</param>
    /// <returns>The model in evaluation mode. The caller disposes it.</returns>
    /// <exception cref="CheckpointException">A file is missing, lies, or describes a model that is not supported.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static LlamaForCausalLM Load(string path, ScalarType? dtype = null, Device? device = null)
    {
        LlamaConfig config = ReadConfig(path);
        using ITensorSource source = OpenWeights(path);
        ScalarType type = dtype ?? config.DType;
        var model = new LlamaForCausalLM(config, type, META);
        try
        {
            LlamaWeights.Load(model, source, type, device ?? CPU);
            model.eval();
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Reads the shape of a model without its weights.</summary>
    /// <exception cref="CheckpointException">The file that tells it is missing or lies.</exception>
    public static LlamaConfig ReadConfig(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (IsLlama2c(path))
        {
            using var file = Llama2cFile.Open(path);
            return file.Config;
        }

        return HuggingFaceConfig.Read(Expect(path, ConfigName));
    }

    /// <summary>Opens the weights of a model for reading one by one. The caller disposes the source.</summary>
    /// <exception cref="CheckpointException">A file is missing or lies.</exception>
    public static ITensorSource OpenWeights(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return IsLlama2c(path) ? Llama2cFile.Open(path) : SafetensorsFile.Open(Expect(path, "model.safetensors"));
    }

    private static bool IsLlama2c(string path) =>
        !Directory.Exists(path) && path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase);

    private static string Expect(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) ? path : throw new CheckpointException(
            CheckpointError.MissingFile, folder, "a model needs a file that is not there",
            Directory.Exists(folder) ? $"no {name}" : "no such folder", $"{name} beside the weights",
            "Give the folder that was fetched from Hugging Face, or a .bin file of llama2.c.");
    }
}
