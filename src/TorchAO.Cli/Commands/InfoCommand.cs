using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectre.Console;
using TorchAO.Checkpoints;
using TorchAO.Formats;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao info</c>: this machine and this program, or a model on disk.</summary>
internal static class InfoCommand
{
    public static Command Create(Terminal terminal)
    {
        var path = new Argument<string?>("path")
        {
            Description = "A model's folder, or a safetensors or llama2.c file; this machine and program if absent.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var option = new Option<string?>("--model", "-m")
        {
            Description = "The same as the argument, as the other commands call it.",
            HelpName = "path",
        };
        var command = new Command("info", "Describe a model on disk, or this machine and program.") { path, option };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(path) is string first && parsed.GetValue(option) is string second)
            {
                throw new ArgumentException($"info {first} with --model {second}: expected one model; leave out one of the two.");
            }

            JsonObject facts = (parsed.GetValue(path) ?? parsed.GetValue(option)) is string model ? Model(model) : Machine();
            if (terminal.IsJson)
            {
                terminal.WriteJson(facts);
            }
            else
            {
                Write(terminal.Screen, facts);
            }

            return ExitCode.Success;
        });
        return command;
    }

    private static JsonObject Machine()
    {
        NativeLoader.EnsureLoaded();
        var facts = new JsonObject
        {
            ["version"] = typeof(ModelExtensions).Assembly.GetName().Version!.ToString(3),
            ["cpu"] = CpuFeatures.ModelName,
            ["instruction_sets"] = CpuFeatures.InstructionSets,
            ["threads"] = get_num_threads(),
            ["cuda_devices"] = cuda.is_available() ? cuda.device_count() : 0,
            ["gpus"] = new JsonArray([.. CudaDevice.All.Select(device => JsonValue.Create(Describe(device)))]),
            ["libtorch"] = NativeLoader.Report!.LibtorchFolder,
            ["torchsharp"] = NativeLoader.Report.TorchSharpLibrary,
            ["relaxed_symbol_versions"] = new JsonArray([.. NativeLoader.Report.RelaxedVersions.Select(v => JsonValue.Create(v))]),
            ["formats"] = new JsonArray([.. BuiltInFormats.Catalog.Formats.Select(format => JsonValue.Create(format.Name))]),
            ["configs"] = new JsonArray([.. BuiltInFormats.Catalog.Handlers.Select(h => JsonValue.Create(h.ConfigName))]),
        };
        AddCuda(facts);
        return facts;
    }

    private static string Describe(CudaDevice device) =>
        string.Create(CultureInfo.InvariantCulture, $"{device.Index}: {device}, {device.ReadMemory().Free / 1e9:f1} GB free");

    // What a report about a GPU needs, or why there is none.
    private static void AddCuda(JsonObject facts)
    {
        if (CudaDevice.AbsenceReason is { } reason)
        {
            facts["no_gpu_because"] = reason;
            return;
        }

        CubinCacheReport cache = CubinCache.Default.Report;
        facts["cuda_driver"] = $"CUDA {CudaDevice.DriverVersion / 1000}.{CudaDevice.DriverVersion % 1000 / 10}";
        facts["cuda_compiler"] = CudaSource.CompilerDescription;
        facts["compiled_kernels"] = cache.Folder ?? $"not kept ({CubinCache.SwitchVariable}=0)";
        if (!cuda.is_available())
        {
            facts["no_cuda_because"] = "libtorch has no CUDA part; set TORCHAO_LIBTORCH to the torch/lib folder of a PyTorch that has";
        }
    }

    private static JsonObject Model(string path)
    {
        using ITensorSource source = LlamaLoader.OpenWeights(path);
        IReadOnlyList<TensorInfo> tensors = source.Tensors;
        var facts = new JsonObject { ["path"] = source.Path };
        if (Directory.Exists(path) || path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase))
        {
            LlamaConfig config = LlamaLoader.ReadConfig(path);
            facts["family"] = config.ModelType;
            facts["layers"] = config.Layers;
            facts["hidden_size"] = config.HiddenSize;
            facts["heads"] = $"{config.Heads} ({config.KeyValueHeads} for keys and values, {config.HeadSize} wide)";
            facts["vocabulary"] = config.VocabSize;
            facts["longest_sequence"] = config.MaxPositions;
        }

        if (QuantizedPath(source.Path) is { } quantized)
        {
            AddQuantized(facts, QuantizedCheckpoint.Describe(quantized));
            return facts;
        }

        facts["tensors"] = tensors.Count;
        facts["elements"] = tensors.Sum(tensor => tensor.Elements);
        facts["bytes"] = tensors.Sum(Bytes);
        facts["types"] = new JsonObject([.. tensors.GroupBy(tensor => ScalarTypes.NameOf(tensor.DType)).Select(
            group => KeyValuePair.Create<string, JsonNode?>(group.Key, group.Sum(Bytes)))]);
        return facts;
    }

    private static string? QuantizedPath(string path) =>
        path.EndsWith(".safetensors", StringComparison.Ordinal) && QuantizedCheckpoint.IsQuantized(path) ? path : null;

    private static void AddQuantized(JsonObject facts, CheckpointDescription description)
    {
        facts["schema_version"] = description.SchemaVersion;
        facts["written_by"] = description.LibraryVersion;
        facts["verified_by_probe"] = description.HasProbe;
        facts["quantized_weights"] = description.Weights.Count;
        facts["elements"] = description.Weights.Sum(weight => weight.Shape[0] * weight.Shape[1])
            + description.Others.Sum(tensor => tensor.Elements);
        facts["bytes"] = description.Bytes;
        facts["formats"] = new JsonObject([.. description.Weights.GroupBy(weight => weight.Format + " " + weight.Parameters).Select(
            group => KeyValuePair.Create<string, JsonNode?>(group.Key, group.Sum(weight => weight.Bytes)))]);
        facts["unquantized_bytes"] = description.Others.Sum(Bytes);
    }

    private static long Bytes(TensorInfo tensor) => tensor.Elements * ScalarTypes.Of(tensor.DType).Bytes;

    private static void Write(IAnsiConsole screen, JsonObject facts)
    {
        Grid grid = new Grid().AddColumn().AddColumn();
        foreach ((string name, JsonNode? value) in facts)
        {
            string text = value switch
            {
                JsonArray array => array.Count == 0 ? "none" : string.Join(", ", array.Select(item => item!.ToString())),
                JsonObject inner => string.Join(", ", inner.Select(pair => $"{pair.Key} {Sizes.Bytes((long)pair.Value!)}")),
                JsonValue number when name.EndsWith("bytes", StringComparison.Ordinal) => Sizes.Bytes((long)number),
                null => "none",
                _ => value.ToString(),
            };
            grid.AddRow(new Text(name.Replace('_', ' ')), new Text(text));
        }

        screen.Write(grid);
    }
}
