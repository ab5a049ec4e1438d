using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using TorchAO.Configuration;
using TorchAO.Lifecycle;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama.Loading;

/// <summary>Opens models of the Llama family on disk.</summary>
public static class LlamaLoader
{
    /// <summary>The file of a folder that describes the model.</summary>
    internal const string ConfigName = "config.json";

    /// <summary>The file of a folder that holds all weights, where they are in one.</summary>
    internal const string WeightsName = "model.safetensors";

    private const string SafetensorsEnding = ".safetensors";

    /// <summary>Loads a model: a Hugging Face folder, a folder of <see cref="LlamaSaver"/>, or a <c>.bin</c> file of llama2.c.</summary>
    /// <remarks>
    /// Quantized weights are recognized by their file. They are loaded in the type in which they were quantized; another type
    /// then converts activations, norms and embedding, never codes and scales.
    /// </remarks>
    /// <param name="path">The folder with <c>config.json</c> and one or many safetensors files, or the file.</param>
    /// <param name="dtype">The type of weights and activations; that of the checkpoint if absent.</param>
    /// <param name="device">The device; the CPU if absent.</param>
    /// <returns>The model in evaluation mode. The caller disposes it.</returns>
    /// <exception cref="CheckpointException">A file is missing, lies, or describes a model that is not supported.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static LlamaForCausalLM Load(string path, ScalarType? dtype = null, Device? device = null)
    {
        LlamaConfig config = ReadConfig(path);
        var options = new LoadOptions { Device = device };
        if (QuantizedFile(path) is not { } quantized)
        {
            return Build(config, dtype, model =>
            {
                using var source = new LlamaTensors(OpenWeights(path), config);
                model.LoadWeights(source, options);
            });
        }

        return Build(config, null, model =>
        {
            model.LoadQuantized(quantized, options);
            if (dtype is { } type && type != config.DType)
            {
                model.to(type);
            }
        });
    }

    /// <summary>Quantizes a model while it is loaded, one tensor at a time: memory holds the quantized model and about one layer more.</summary>
    /// <param name="path">A Hugging Face folder with floating-point weights, or a <c>.bin</c> file of llama2.c.</param>
    /// <param name="rules">The rules in order; one that matches no layer is an error.</param>
    /// <param name="dtype">The type of weights before quantizing, and of activations; that of the checkpoint if absent.</param>
    /// <param name="options">Device, coverage, progress, cancellation; the defaults if absent.</param>
    /// <returns>The model in evaluation mode, which the caller disposes, and what became of each layer.</returns>
    /// <exception cref="CheckpointException">A file is missing, lies, is quantized already, or describes a model that is not supported.</exception>
    /// <exception cref="QuantizationException">The rules do not fit the model, or too little would be quantized.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static (LlamaForCausalLM Model, QuantizeReport Report) LoadAndQuantize(
        string path, ModuleRules rules, ScalarType? dtype = null, QuantizeOptions? options = null)
    {
        LlamaConfig config = ReadConfig(path);
        if (QuantizedFile(path) is { } quantized)
        {
            throw new CheckpointException(
                CheckpointError.UnsupportedModel, quantized, "the weights are quantized already", "a quantized checkpoint",
                "floating-point weights", "Quantize the folder that it was made from, or load it as it is.");
        }

        QuantizeReport? report = null;
        LlamaForCausalLM model = Build(config, dtype, model =>
        {
            using var source = new LlamaTensors(OpenWeights(path), config);
            report = model.QuantizeFrom(source, rules, options);
        });
        return (model, report!);
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

    /// <summary>Opens the weights of a model for reading one by one: of one file, or of all that an index names.</summary>
    /// <param name="path">A model's folder, a <c>.safetensors</c> file, or a <c>.bin</c> file of llama2.c.</param>
    /// <returns>The tensors as they stand on disk, the pieces of quantized weights too. The caller disposes the source.</returns>
    /// <exception cref="CheckpointException">A file is missing or lies.</exception>
    public static ITensorSource OpenWeights(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (IsLlama2c(path))
        {
            return Llama2cFile.Open(path);
        }

        if (File.Exists(path) && path.EndsWith(SafetensorsEnding, StringComparison.OrdinalIgnoreCase))
        {
            return SafetensorsFile.Open(path);
        }

        string index = Path.Combine(path, ShardedSafetensors.IndexName);
        return !File.Exists(Path.Combine(path, WeightsName)) && File.Exists(index)
            ? ShardedSafetensors.Open(index)
            : SafetensorsFile.Open(Expect(path, WeightsName));
    }

    /// <summary>Tells whether a path is a file of llama2.c.</summary>
    internal static bool IsLlama2c(string path) =>
        !Directory.Exists(path) && path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase);

    private static string? QuantizedFile(string path)
    {
        string file = Path.Combine(path, WeightsName);
        return !IsLlama2c(path) && File.Exists(file) && QuantizedCheckpoint.IsQuantized(file) ? file : null;
    }

    private static LlamaForCausalLM Build(LlamaConfig config, ScalarType? dtype, Action<LlamaForCausalLM> load)
    {
        var model = new LlamaForCausalLM(config, dtype ?? config.DType, META);
        try
        {
            load(model);
            model.eval();
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private static string Expect(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        if (File.Exists(path))
        {
            return path;
        }

        bool isFile = File.Exists(folder);
        throw new CheckpointException(
            CheckpointError.MissingFile, folder, isFile ? "one file is not a whole model" : "a model needs a file that is not there",
            isFile ? "a file" : Directory.Exists(folder) ? $"no {name}" : "no such file or folder",
            isFile ? $"a folder with {name} beside the weights" : $"a folder with {name}",
            isFile
                ? $"Give the folder of the file, {Path.GetDirectoryName(Path.GetFullPath(folder))}."
                : "Give the folder that was fetched from Hugging Face or that a quantized model was saved to, or a .bin file of llama2.c.");
    }
}
