using System.Text;
using TorchAO.Checkpoints;
using TorchAO.Runtime.Storage;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama.Loading;

/// <summary>Writes quantized models of the Llama family as folders that <see cref="LlamaLoader"/> opens.</summary>
public static class LlamaSaver
{
    // What tokenizers and chat templates are called; weights and configs of other programs stay behind.
    private static readonly string[] Companions =
    [
        "tok*", "vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json", "generation_config.json",
        "chat_template.*", "LICENSE*",
    ];

    /// <summary>Writes a folder with <c>config.json</c>, <c>model.safetensors</c> and what else the model came with.</summary>
    /// <remarks>
    /// The folder is made under another name and renamed when it is complete and on the disk, so that a half one never has the
    /// name. Only this library reads the weights: <c>config.json</c> says so in <c>quantization_config</c>.
    /// </remarks>
    /// <param name="model">The model, with at least one quantized layer.</param>
    /// <param name="folder">The folder to make; absent or empty before.</param>
    /// <param name="source">The folder, or the llama2.c file in it, whose tokenizer, licence and generation settings are copied.</param>
    /// <param name="probe">Token ids, int64 <c>[B, T]</c>, which are stored with the model's logits and compared at each loading.</param>
    /// <param name="options">Cancellation; the defaults if absent.</param>
    /// <exception cref="QuantizationException">No layer is quantized, or the probe is of no use.</exception>
    /// <exception cref="IOException">The folder is not empty, another process writes it, or the disk refuses.</exception>
    /// <exception cref="ArgumentException">The model's config asks for what its family does not have.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; nothing is left.</exception>
    public static void Save(
        LlamaForCausalLM model, string folder, string? source = null, Tensor? probe = null, SaveOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        string target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        string parent = Path.GetDirectoryName(target) ?? throw new IOException($"{target} is a root, expected a folder to make.");
        if (!Directory.Exists(parent))
        {
            throw new DirectoryNotFoundException(
                $"{folder}: there is no folder {parent}, expected the one in which it is to be made; make that first or correct the path.");
        }

        RequireFree(target);
        string config = HuggingFaceConfigWriter.Write(model.Config with { DType = model.DType }, isQuantized: true);
        string partial = Path.Combine(parent, $".{Path.GetFileName(target)}.partial");
        using FileStream gate = Lock(partial + ".lock");
        try
        {
            Clear(partial);
            Directory.CreateDirectory(partial);
            WriteFile(Path.Combine(partial, LlamaLoader.ConfigName), Encoding.UTF8.GetBytes(config));
            CopyCompanions(source, partial);
            model.SaveQuantized(Path.Combine(partial, LlamaLoader.WeightsName), probe, options);
            if (Directory.Exists(target))
            {
                Directory.Delete(target); // empty, or an error
            }

            Directory.Move(partial, target);
            FolderSync.Flush(parent);
        }
        finally
        {
            Clear(partial);
        }
    }

    private static void RequireFree(string target)
    {
        if (File.Exists(target) || (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any()))
        {
            throw new IOException(
                $"{target} is {(File.Exists(target) ? "a file" : "not empty")}, expected a folder that is absent or empty; choose " +
                "another name, or delete it first.");
        }
    }

    private static FileStream Lock(string path)
    {
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException e) when (File.Exists(path))
        {
            throw new IOException($"{path} is locked: another process writes this folder. Wait for it, or choose another name.", e);
        }
    }

    // What a killed writer left, or what failed.
    private static void Clear(string partial)
    {
        if (Directory.Exists(partial))
        {
            Directory.Delete(partial, recursive: true);
        }
    }

    private static void CopyCompanions(string? source, string target)
    {
        if (source is null)
        {
            return;
        }

        string folder = LlamaLoader.IsLlama2c(source) ? Path.GetDirectoryName(Path.GetFullPath(source))! : source;
        string weights = Path.GetFullPath(source);
        foreach (string file in Companions.SelectMany(pattern => Directory.EnumerateFiles(folder, pattern)).Distinct())
        {
            if (Path.GetFullPath(file) != weights)
            {
                WriteFile(Path.Combine(target, Path.GetFileName(file)), File.ReadAllBytes(file));
            }
        }
    }

    private static void WriteFile(string path, byte[] bytes)
    {
        using FileStream file = File.Create(path);
        file.Write(bytes);
        file.Flush(flushToDisk: true);
    }
}
