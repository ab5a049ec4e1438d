using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using TorchAO.Checkpoints;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Checkpoints;

/// <summary>Each lie of a quantized checkpoint, and each wrong use, is a typed error before the model changes.</summary>
public sealed class CheckpointLieTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string Target => folder.File("model.safetensors");

    public void Dispose() => folder.Dispose();

    public static TheoryData<string, CheckpointError, string> Lies => new()
    {
        { "version", CheckpointError.UnknownSchemaVersion, "got schema version 2; expected 1" },
        { "no version", CheckpointError.MissingField, "schema_version" },
        { "field", CheckpointError.UnknownField, "of schema version 1: a field that this version does not know: got \"signature\"" },
        { "weight field", CheckpointError.UnknownField, "of schema version 1" },
        { "activation", CheckpointError.InvalidField, "type is missing" },
        { "no description", CheckpointError.NotQuantized, "metadata without a key \"torchao\"" },
        { "text", CheckpointError.InvalidJson, "not valid JSON" },
        { "list", CheckpointError.InvalidField, "not an object" },
        { "twice", CheckpointError.DuplicateKey, "\"library\"" },
        { "format", CheckpointError.UnknownFormat, "got \"int9\"; expected int8, int4" },
        { "dtype", CheckpointError.UnknownDType, "F31" },
        { "shape", CheckpointError.InvalidComponent, "the int8 tensor: got " },
        { "parameters", CheckpointError.InvalidComponent, "group_size" },
        { "no component", CheckpointError.InvalidComponent, "no tensor" },
        { "no checksum", CheckpointError.MissingField, "no checksum" },
        { "checksum", CheckpointError.ChecksumMismatch, "weight.qdata" },
        { "surplus checksum", CheckpointError.ListedTensorAbsent, "\"ghost\"" },
        { "tie", CheckpointError.TieMismatch, "\"twin\"" },
        { "probe", CheckpointError.InvalidField, "has_probe" },
    };

    [Theory]
    [MemberData(nameof(Lies))]
    public void A_description_that_lies_is_refused_and_nothing_changes(string lie, CheckpointError error, string said)
    {
        Save();
        Change(Target, (metadata, json) => Tell(lie, metadata, json));

        AssertRefused(error, said);
    }

    [Theory]
    [InlineData("qdata", 5, 1)]
    [InlineData("scale", 2, 1)]
    [InlineData("bias", 3, 128)]
    public void One_flipped_bit_is_found_before_the_model_changes(string tensor, int at, byte bit)
    {
        Save();
        Flip(Target, tensor == "bias" ? "bias" : $"weight.{tensor}", at, bit);

        AssertRefused(CheckpointError.ChecksumMismatch, tensor);
    }

    [Fact]
    public void A_flipped_bit_whose_checksum_agrees_fails_the_probe()
    {
        Save();
        Flip(Target, "weight.qdata", 5, 0x40);
        Change(Target, (metadata, json) => json["crc32c"]!["weight.qdata"] = Checksum(Target, "weight.qdata"));
        using Linear model = nn.Linear(64, 8, device: META);

        CheckpointException error = Assert.Throws<CheckpointException>(() => model.LoadQuantized(Target));

        Assert.Equal(CheckpointError.ProbeMismatch, error.Error);
        Assert.Contains("a relative difference of", error.Message, StringComparison.Ordinal);
        Assert.Contains("must not be used", error.Message, StringComparison.Ordinal);
        using Linear unchecked_ = nn.Linear(64, 8, device: META);
        Assert.Null(unchecked_.LoadQuantized(Target, new() { VerifiesProbe = false }).ProbeDifference);
    }

    [Fact]
    public void A_file_cut_off_anywhere_is_refused()
    {
        Save();
        byte[] whole = File.ReadAllBytes(Target);
        foreach (int length in new[] { 0, 7, 8, 100, whole.Length / 2, whole.Length - 1 })
        {
            File.WriteAllBytes(Target, whole[..length]);
            using Linear model = nn.Linear(64, 8);
            CheckpointException error = Assert.Throws<CheckpointException>(() => model.LoadQuantized(Target));
            Assert.True(
                error.Error is CheckpointError.FileTooShort or CheckpointError.HeaderBeyondFile or CheckpointError.OffsetsOutsideFile,
                $"{length} bytes: {error.Message}");
        }
    }

    [Theory]
    [InlineData(32, 8, true, ScalarType.Float32, CheckpointError.ShapeMismatch, "got [8, 64]; expected [8, 32]")]
    [InlineData(64, 8, false, ScalarType.Float32, CheckpointError.UnexpectedTensor, "bias")]
    [InlineData(64, 8, true, ScalarType.BFloat16, CheckpointError.DTypeMismatch, "got Float32; expected BFloat16")]
    public void Another_model_is_refused(long inputs, long outputs, bool hasBias, ScalarType dtype, CheckpointError error, string said)
    {
        Save();
        using Linear model = nn.Linear(inputs, outputs, hasBias, dtype: dtype);
        AssertRefused(error, said, model);
    }

    [Fact]
    public void A_model_with_other_layers_is_refused_with_near_names()
    {
        Save();
        using Sequential model = nn.Sequential(("up", nn.Linear(64, 8)));
        AssertRefused(CheckpointError.UnexpectedTensor, "near: 'up.weight'", model);
    }

    [Fact]
    public void A_model_with_more_parameters_is_refused()
    {
        using (Sequential saved = nn.Sequential(("up", nn.Linear(64, 8))))
        {
            saved.Quantize(new Int8WeightOnlyConfig());
            saved.SaveQuantized(Target);
        }

        using Sequential model = nn.Sequential(("up", nn.Linear(64, 8)), ("norm", nn.LayerNorm([8])));
        AssertRefused(CheckpointError.TensorNotFound, "no \"norm.weight\"", model);
    }

    [Fact]
    public void Tensors_that_the_model_has_as_one_cannot_come_from_two()
    {
        using (Sequential saved = Two(false))
        {
            saved.Quantize(new TorchAO.Configuration.ModuleRules { ["c"] = new Int8WeightOnlyConfig() });
            saved.SaveQuantized(Target);
        }

        using Sequential model = Two(true);
        AssertRefused(CheckpointError.TieMismatch, "a.weight and b.weight", model);

        static Sequential Two(bool areTied)
        {
            Linear a = nn.Linear(64, 64, hasBias: false), b = nn.Linear(64, 64, hasBias: false);
            if (areTied)
            {
                b.weight = a.weight!;
            }

            return nn.Sequential(("a", a), ("b", b), ("c", nn.Linear(64, 64)));
        }
    }

    [Fact]
    public void A_quantized_model_is_no_place_to_load_into()
    {
        Save();
        using Linear model = nn.Linear(64, 8);
        model.Quantize(new Int8WeightOnlyConfig());
        QuantizationException error = Assert.Throws<QuantizationException>(() => model.LoadQuantized(Target));
        Assert.Contains("quantized already as int8", error.Message, StringComparison.Ordinal);
        Assert.Contains("freshly built", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_that_is_not_quantized_is_not_saved()
    {
        using Linear model = nn.Linear(64, 8);
        QuantizationException error = Assert.Throws<QuantizationException>(() => model.SaveQuantized(Target));
        Assert.Contains("no layer is quantized; call Quantize first", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_folder_is_no_file()
    {
        using Linear model = nn.Linear(64, 8);
        model.Quantize(new Int8WeightOnlyConfig());
        IOException error = Assert.Throws<IOException>(() => model.SaveQuantized(folder.Path));
        Assert.Contains("is a folder, expected the path of a file", error.Message, StringComparison.Ordinal);
        string missing = folder.File("no/such/model.safetensors");
        string message = Assert.Throws<DirectoryNotFoundException>(() => model.SaveQuantized(missing)).Message;
        Assert.StartsWith($"{missing}: there is no folder {Path.GetDirectoryName(missing)}", message, StringComparison.Ordinal);
        Assert.Contains("make the folder first", message, StringComparison.Ordinal);
        Assert.DoesNotContain("partial", message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_folder_that_takes_no_files_is_told_by_the_path_that_was_given()
    {
        Assert.SkipUnless(Directory.Exists("/sys/kernel"), "needs a folder in which root too may make no files");
        using Linear model = nn.Linear(64, 8);
        model.Quantize(new Int8WeightOnlyConfig());
        string message = Assert.Throws<UnauthorizedAccessException>(() => model.SaveQuantized("/sys/kernel/model.safetensors")).Message;
        Assert.StartsWith("/sys/kernel/model.safetensors: this user may make no files in /sys/kernel", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_probe_whose_output_is_not_finite_is_refused()
    {
        using Linear model = nn.Linear(64, 8);
        model.Quantize(new Int8WeightOnlyConfig());
        using Tensor x = full(1, 64, float.PositiveInfinity);
        QuantizationException error = Assert.Throws<QuantizationException>(() => model.SaveQuantized(Target, x));
        Assert.Contains("expected finite values", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cancelled_save_leaves_the_old_file_and_nothing_else()
    {
        Save();
        byte[] old = File.ReadAllBytes(Target);
        using Linear model = nn.Linear(64, 8);
        model.Quantize(new Int8WeightOnlyConfig());
        Assert.ThrowsAny<OperationCanceledException>(
            () => model.SaveQuantized(Target, options: new() { CancellationToken = new CancellationToken(canceled: true) }));
        Assert.Equal(old, File.ReadAllBytes(Target));
        Assert.Single(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_cancelled_load_leaves_the_model_as_it_was()
    {
        Save();
        using Linear model = nn.Linear(64, 8);
        Assert.ThrowsAny<OperationCanceledException>(
            () => model.LoadQuantized(Target, new() { CancellationToken = new CancellationToken(canceled: true) }));
        Assert.Empty(ModelState.Of(model).Quantized);
    }

    [Fact]
    public void The_checksum_is_that_of_the_standard() =>
        Assert.Equal(0xE3069283u, TensorChecksum.Of("123456789"u8));

    [Fact]
    public void A_file_is_described_without_loading_it()
    {
        Save();
        CheckpointDescription description = QuantizedCheckpoint.Describe(Target);

        Assert.True(QuantizedCheckpoint.IsQuantized(Target));
        QuantizedWeightInfo weight = Assert.Single(description.Weights);
        Assert.Equal(("weight", "int8", ScalarType.Float32), (weight.Name, weight.Format, weight.DType));
        Assert.Equal([8L, 64], weight.Shape);
        Assert.Equal((8 * 64) + (8 * 4), weight.Bytes);
        Assert.Contains("int8_weight_only", weight.Config, StringComparison.Ordinal);
        Assert.Equal("bias", Assert.Single(description.Others).Name);
        Assert.Equal((true, 1, weight.Bytes + 32), (description.HasProbe, description.SchemaVersion, description.Bytes));
    }

    private static void Tell(string lie, JsonObject metadata, JsonObject json)
    {
        JsonObject weight = json["weights"]!["weight"]!.AsObject();
        Action tell = lie switch
        {
            "version" => () => json["schema_version"] = 2,
            "no version" => () => json.Remove("schema_version"),
            "field" => () => json["signature"] = "x",
            "weight field" => () => weight["rotation"] = "hadamard",
            "activation" => () => weight["activation"] = new JsonObject(),
            "no description" => () => metadata.Remove("torchao"),
            "text" => () => metadata["torchao"] = "{",
            "list" => () => metadata["torchao"] = "[]",
            "twice" => () => metadata["torchao"] = json.ToJsonString().Replace("{\"schema_version\"", "{\"library\":\"x\",\"schema_version\"", StringComparison.Ordinal),
            "format" => () => weight["format"] = "int9",
            "dtype" => () => weight["dtype"] = "F31",
            "shape" => () => weight["shape"] = new JsonArray(8, 32),
            "parameters" => () => weight["parameters"]!["group_size"] = 48,
            "no component" => () => json["weights"]!["ghost.weight"] = weight.DeepClone(),
            "no checksum" => () => json["crc32c"]!.AsObject().Remove("bias"),
            "checksum" => () => json["crc32c"]!["weight.qdata"] = "00000000",
            "surplus checksum" => () => json["crc32c"]!["ghost"] = "00000000",
            "tie" => () => json["tied"]!["twin"] = "nothing",
            "probe" => () => json["has_probe"] = false,
            _ => throw new ArgumentOutOfRangeException(nameof(lie), lie, null),
        };
        tell();
    }

    private void Save()
    {
        random.manual_seed(5);
        using Linear model = nn.Linear(64, 8);
        model.Quantize(new Int8WeightOnlyConfig());
        using Tensor x = ones(1, 64);
        model.SaveQuantized(Target, x);
    }

    private void AssertRefused(CheckpointError error, string said, nn.Module? model = null)
    {
        using Linear fresh = nn.Linear(64, 8);
        nn.Module target = model ?? fresh;
        string[] before = [.. Bytes(target)];

        CheckpointException lie = Assert.Throws<CheckpointException>(() => target.LoadQuantized(Target));

        Assert.Equal(error, lie.Error);
        Assert.Contains(said, lie.Message, StringComparison.Ordinal);
        Assert.Contains("model.safetensors", lie.Message, StringComparison.Ordinal);
        Assert.Contains("; expected ", lie.Message, StringComparison.Ordinal);
        Assert.Empty(ModelState.Of(target).Quantized);
        Assert.Equal(before, Bytes(target));
    }

    private static IEnumerable<string> Bytes(nn.Module model) =>
        ModelState.Of(model).Entries.Select(entry => $"{entry.Name} {TensorChecksum.Of(entry.Value):x8}");

    private static (JsonObject Header, byte[] Data) Split(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        return (JsonNode.Parse(bytes.AsSpan(8, length))!.AsObject(), bytes[(8 + length)..]);
    }

    private static void Join(string path, JsonObject header, byte[] data)
    {
        byte[] text = Encoding.UTF8.GetBytes(header.ToJsonString());
        byte[] length = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)text.Length);
        File.WriteAllBytes(path, [.. length, .. text, .. data]);
    }

    private static void Change(string path, Action<JsonObject, JsonObject> change)
    {
        (JsonObject header, byte[] data) = Split(path);
        JsonObject metadata = header["__metadata__"]!.AsObject();
        string text = metadata["torchao"]!.GetValue<string>();
        JsonObject json = JsonNode.Parse(text)!.AsObject();
        change(metadata, json);
        if (metadata["torchao"]?.GetValue<string>() == text)
        {
            metadata["torchao"] = json.ToJsonString();
        }

        Join(path, header, data);
    }

    private static void Flip(string path, string tensor, int at, byte bit)
    {
        (JsonObject header, byte[] data) = Split(path);
        data[(int)header[tensor]!["data_offsets"]![0]! + at] ^= bit;
        Join(path, header, data);
    }

    private static string Checksum(string path, string tensor)
    {
        (JsonObject header, byte[] data) = Split(path);
        JsonNode offsets = header[tensor]!["data_offsets"]!;
        return $"{TensorChecksum.Of(data.AsSpan((int)offsets[0]!..(int)offsets[1]!)):x8}";
    }
}
