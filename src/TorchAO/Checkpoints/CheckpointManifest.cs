using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Checkpoints;

/// <summary>One quantized weight in the manifest, and how its layer rounds activations, if it does.</summary>
internal sealed record WeightRecord(
    string Name,
    string Format,
    IReadOnlyList<long> Shape,
    ScalarType DType,
    JsonObject Parameters,
    ActivationScheme? Activation,
    JsonObject? Config);

/// <summary>The JSON text in the metadata of a quantized checkpoint: what the tensors of the file mean. Names no types.</summary>
/// <param name="Library">The version of the library that wrote the file.</param>
/// <param name="Weights">The quantized weights.</param>
/// <param name="Tied">Further names of tensors that stand in the file once.</param>
/// <param name="Checksums">CRC-32C of every tensor.</param>
/// <param name="HasProbe">Whether the file holds an input and its output.</param>
internal sealed record CheckpointManifest(
    string Library,
    IReadOnlyList<WeightRecord> Weights,
    IReadOnlyDictionary<string, string> Tied,
    IReadOnlyDictionary<string, uint> Checksums,
    bool HasProbe)
{
    /// <summary>The key in the file's metadata.</summary>
    public const string MetadataKey = "torchao";

    /// <summary>The version that this library writes, and the only one it reads.</summary>
    public const int Version = 1;

    /// <summary>The tensor that a model is run on after loading.</summary>
    public const string ProbeInput = "torchao.probe.input";

    /// <summary>What the model that was saved computed of it.</summary>
    public const string ProbeOutput = "torchao.probe.output";

    /// <summary>Writes the manifest, always in the same order.</summary>
    public string ToJson()
    {
        var weights = new JsonObject();
        foreach (WeightRecord weight in Weights.OrderBy(weight => weight.Name, StringComparer.Ordinal))
        {
            var record = new JsonObject
            {
                ["format"] = weight.Format,
                ["shape"] = new JsonArray([.. weight.Shape.Select(size => JsonValue.Create(size))]),
                ["dtype"] = ScalarTypes.NameOf(weight.DType),
                ["parameters"] = weight.Parameters.DeepClone(),
            };
            if (weight.Activation is not null)
            {
                record["activation"] = weight.Activation.Describe();
            }

            if (weight.Config is not null)
            {
                record["config"] = weight.Config.DeepClone();
            }

            weights[weight.Name] = record;
        }

        return new JsonObject
        {
            ["schema_version"] = Version,
            ["library"] = Library,
            ["weights"] = weights,
            ["tied"] = Texts(Tied, target => target),
            ["crc32c"] = Texts(Checksums, crc => crc.ToString("x8", CultureInfo.InvariantCulture)),
            ["has_probe"] = HasProbe,
        }.ToJsonString();
    }

    /// <summary>Reads the manifest out of a file's metadata.</summary>
    /// <exception cref="CheckpointException">There is none, its version is another, or a field is missing, unknown or wrong.</exception>
    public static CheckpointManifest Read(string path, IReadOnlyDictionary<string, string> metadata)
    {
        if (!metadata.TryGetValue(MetadataKey, out string? text))
        {
            throw new CheckpointException(
                CheckpointError.NotQuantized, path, "the file is no quantized checkpoint", $"metadata without a key \"{MetadataKey}\"",
                "a file that SaveQuantized wrote", "Load float weights with LoadWeights, or quantize them with QuantizeFrom.");
        }

        CheckpointJson json = CheckpointJson.Parse($"{path}: metadata \"{MetadataKey}\"", Encoding.UTF8.GetBytes(text));
        long version = json.Integer("schema_version");
        if (version != Version)
        {
            throw new CheckpointException(
                CheckpointError.UnknownSchemaVersion, path, "the description of the weights has a version that is not known here",
                $"schema version {version}", $"{Version}", "Use the version of the library that wrote the file, or save the model again.");
        }

        json = CheckpointJson.Parse(
            $"{path}: metadata \"{MetadataKey}\" of schema version {version}", Encoding.UTF8.GetBytes(text));
        json.RequireOnly("schema_version", "library", "weights", "tied", "crc32c", "has_probe");
        CheckpointJson weights = json.Object("weights");
        CheckpointJson tied = json.Object("tied");
        CheckpointJson checksums = json.Object("crc32c");
        return new CheckpointManifest(
            json.Text("library"),
            [.. weights.Names.Select(name => ReadWeight(name, weights.Object(name)))],
            tied.Names.ToDictionary(name => name, tied.Text, StringComparer.Ordinal),
            checksums.Names.ToDictionary(name => name, name => Checksum(checksums, name), StringComparer.Ordinal),
            json.Flag("has_probe"));
    }

    private static WeightRecord ReadWeight(string name, CheckpointJson json)
    {
        json.RequireOnly("format", "shape", "dtype", "parameters", "activation", "config");
        return new WeightRecord(
            name,
            json.Text("format"),
            json.Shape("shape"),
            ScalarTypes.Named(json.Text("dtype"))?.Type ?? throw json.Wrong(
                "dtype", string.Join(", ", ScalarTypes.All.Select(type => type.Name)), CheckpointError.UnknownDType),
            json.RawObject("parameters"),
            json.Has("activation") ? ReadActivation(json) : null,
            json.Has("config") ? json.RawObject("config") : null);
    }

    private static ActivationScheme ReadActivation(CheckpointJson json)
    {
        try
        {
            return ActivationScheme.Read(json.RawObject("activation"));
        }
        catch (QuantizationException e)
        {
            throw json.Wrong("activation", e.Message.TrimEnd('.'), inner: e);
        }
    }

    private static uint Checksum(CheckpointJson json, string name) =>
        uint.TryParse(json.Text(name), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint crc)
            ? crc
            : throw json.Wrong(name, "eight hexadecimal digits");

    private static JsonObject Texts<T>(IReadOnlyDictionary<string, T> values, Func<T, string> text) => new(
        values.OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => KeyValuePair.Create<string, JsonNode?>(pair.Key, text(pair.Value))));
}
