using TorchAO.Checkpoints.Safetensors;

namespace TorchAO.Checkpoints;

/// <summary>Looks at files that <c>model.SaveQuantized</c> wrote without loading them.</summary>
public static class QuantizedCheckpoint
{
    /// <summary>Tells whether a safetensors file says that it is a quantized checkpoint.</summary>
    /// <exception cref="CheckpointException">The file is no safetensors file.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static bool IsQuantized(string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        return file.Metadata.ContainsKey(CheckpointManifest.MetadataKey);
    }

    /// <summary>Describes every weight of a quantized checkpoint: format, shape, bytes. Reads the header alone.</summary>
    /// <exception cref="CheckpointException">The file lies, or is no quantized checkpoint.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static CheckpointDescription Describe(string path)
    {
        using QuantizedFile file = QuantizedFile.Open(path);
        string[] others = [.. file.Plain.Order(StringComparer.Ordinal)];
        return new CheckpointDescription(
            path,
            CheckpointManifest.Version,
            file.Manifest.Library,
            [
                .. file.Manifest.Weights.Select(weight => new QuantizedWeightInfo(
                    weight.Name, weight.Format, weight.Shape, weight.DType, weight.Parameters.ToJsonString(),
                    weight.Activation?.ToString(), weight.Config?.ToJsonString(), file.Components(weight), file.Bytes(weight))),
            ],
            [.. others.Select(file.Describe)],
            file.Manifest.Tied,
            file.Manifest.HasProbe,
            file.Manifest.Weights.Sum(file.Bytes) + others.Sum(file.Bytes));
    }
}
