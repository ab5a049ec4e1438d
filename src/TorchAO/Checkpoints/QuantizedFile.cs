using TorchAO.Checkpoints.Safetensors;
using TorchAO.Formats;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Checkpoints;

/// <summary>A quantized checkpoint, opened: its manifest and its tensors agree.</summary>
internal sealed class QuantizedFile : IDisposable
{
    private const string Damaged = "The file is damaged or was changed: fetch or save it again.";

    private readonly SafetensorsFile file;
    private readonly Dictionary<string, SafetensorsEntry[]> components = new(StringComparer.Ordinal);

    private QuantizedFile(SafetensorsFile file)
    {
        this.file = file;
        Manifest = CheckpointManifest.Read(file.Path, file.Metadata);
        var plain = file.Entries.Select(entry => entry.Name).ToHashSet(StringComparer.Ordinal);
        RequireChecksums(plain);
        ILookup<string, SafetensorsEntry> byOwner = file.Entries.ToLookup(
            entry => entry.Name[..Math.Max(0, entry.Name.LastIndexOf('.'))], StringComparer.Ordinal);
        foreach (WeightRecord weight in Manifest.Weights)
        {
            SafetensorsEntry[] pieces = [.. byOwner[weight.Name]];
            if (pieces.Length == 0)
            {
                throw Lie(
                    CheckpointError.InvalidComponent, weight.Name, "a quantized weight has no components", "no tensor",
                    $"tensors such as {weight.Name}.qdata");
            }

            components.Add(weight.Name, pieces);
            plain.ExceptWith(pieces.Select(piece => piece.Name));
        }

        RequireProbe(plain);
        Plain = plain;
        RequireTies();
    }

    public string Path => file.Path;

    public CheckpointManifest Manifest { get; }

    /// <summary>Gets the names of all tensors that are no component of a quantized weight.</summary>
    public IReadOnlySet<string> Plain { get; }

    /// <summary>Opens a file and verifies everything that can be said without a model.</summary>
    public static QuantizedFile Open(string path)
    {
        SafetensorsFile file = SafetensorsFile.Open(path);
        try
        {
            return new QuantizedFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Describes a tensor.</summary>
    public TensorInfo Describe(string name) => file.Describe(name);

    /// <summary>Gets the pieces of a quantized weight.</summary>
    public IReadOnlyList<TensorInfo> Components(WeightRecord weight) => [.. components[weight.Name].Select(piece => file.Describe(piece.Name))];

    /// <summary>Gets the bytes of the pieces of a quantized weight.</summary>
    public long Bytes(WeightRecord weight) => components[weight.Name].Sum(piece => piece.Bytes);

    /// <summary>Gets the bytes of a tensor.</summary>
    public long Bytes(string tensor) => file[tensor].Bytes;

    /// <summary>Checks that every weight's pieces make a tensor of its format, without reading them into memory.</summary>
    public void VerifyWeights(FormatCatalog catalog)
    {
        foreach (WeightRecord weight in Manifest.Weights)
        {
            if (catalog.Formats.All(format => format.Name != weight.Format))
            {
                throw new CheckpointException(
                    CheckpointError.UnknownFormat, Where(weight.Name), "a weight in a format that is not known here",
                    CheckpointException.Quote(weight.Format), string.Join(", ", catalog.Formats.Select(format => format.Name)),
                    "Use the version of the library that wrote the file.");
            }

            ReadWeight(catalog, weight, file.Map).Dispose();
        }
    }

    /// <summary>Reads a quantized weight into memory of its own. The caller disposes it.</summary>
    public QuantizedTensor ReadWeight(FormatCatalog catalog, WeightRecord weight) => ReadWeight(catalog, weight, Read);

    /// <summary>Reads a tensor and compares its checksum. The caller disposes it.</summary>
    public Tensor Read(string name)
    {
        Tensor tensor = file.Read(name);
        uint crc = TensorChecksum.Of(tensor);
        if (crc == Manifest.Checksums[name])
        {
            return tensor;
        }

        tensor.Dispose();
        throw Lie(
            CheckpointError.ChecksumMismatch, name, "the bytes are not those that were written", $"CRC-32C {crc:x8}",
            $"{Manifest.Checksums[name]:x8}");
    }

    public void Dispose() => file.Dispose();

    private QuantizedTensor ReadWeight(FormatCatalog catalog, WeightRecord weight, Func<string, Tensor> read)
    {
        var pieces = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        bool isOwned = false;
        try
        {
            foreach (SafetensorsEntry piece in components[weight.Name])
            {
                pieces.Add(piece.Name[(weight.Name.Length + 1)..], read(piece.Name));
            }

            QuantizedTensor tensor = catalog.Format(weight.Format).Read(
                new StoredTensor(weight.Name, weight.Shape, weight.DType, weight.Parameters, pieces));
            isOwned = true;
            return tensor;
        }
        catch (QuantizationException e)
        {
            throw new CheckpointException(
                CheckpointError.InvalidComponent, Where(weight.Name), "the pieces do not make a weight of its format",
                e.Message.TrimEnd('.'), $"a whole {weight.Format} weight [{string.Join(", ", weight.Shape)}]", Damaged, e);
        }
        finally
        {
            foreach (Tensor piece in isOwned ? [] : pieces.Values.ToArray())
            {
                piece.Dispose();
            }
        }
    }

    private void RequireChecksums(HashSet<string> names)
    {
        if (names.FirstOrDefault(name => !Manifest.Checksums.ContainsKey(name)) is { } missing)
        {
            throw Lie(CheckpointError.MissingField, missing, "a tensor has no checksum", "none", "a CRC-32C in the metadata");
        }

        if (Manifest.Checksums.Keys.FirstOrDefault(name => !names.Contains(name)) is { } absent)
        {
            throw Lie(CheckpointError.ListedTensorAbsent, absent, "the metadata lists a tensor that is not there", "no tensor", "the tensor");
        }
    }

    private void RequireProbe(HashSet<string> plain)
    {
        bool[] found = [plain.Remove(CheckpointManifest.ProbeInput), plain.Remove(CheckpointManifest.ProbeOutput)];
        if (found.Any(one => one != Manifest.HasProbe))
        {
            throw Lie(
                CheckpointError.InvalidField, CheckpointManifest.ProbeInput, "the probe's tensors do not fit has_probe",
                $"{found.Count(one => one)} tensors", Manifest.HasProbe ? "input and output" : "none");
        }
    }

    private void RequireTies()
    {
        foreach ((string name, string target) in Manifest.Tied)
        {
            if (!Plain.Contains(target) || Plain.Contains(name))
            {
                throw Lie(
                    CheckpointError.TieMismatch, name, "a name is tied to a tensor that is not there, or has one of its own",
                    CheckpointException.Quote(target), "the name of a tensor, and none under its own name");
            }
        }
    }

    private string Where(string tensor) => $"{Path}: {CheckpointException.Quote(tensor)}";

    private CheckpointException Lie(CheckpointError error, string tensor, string what, string got, string expected) =>
        new(error, Where(tensor), what, got, expected, Damaged);
}
