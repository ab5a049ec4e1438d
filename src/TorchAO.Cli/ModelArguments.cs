using System.CommandLine;
using System.Globalization;
using TorchAO.Lifecycle;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using TorchAO.Models.Text;
using static TorchSharp.torch;

namespace TorchAO.Cli;

/// <summary>The options that say which model a command works on.</summary>
internal sealed class ModelArguments
{
    private static readonly string[] DTypes = ["float32", "bfloat16", "float16"];

    private readonly Option<string?> model = new("--model", "-m")
    {
        Description = "A Hugging Face folder, a folder that quantize wrote, or a .bin file of llama2.c; the shipped story model if absent.",
        HelpName = "path",
    };

    private readonly Option<string?> tokenizer = new("--tokenizer")
    {
        Description = "The tokenizer's file or folder; that of the model if absent.",
        HelpName = "path",
    };

    private readonly Option<string?> dtype = new("--dtype")
    {
        Description = "The type of activations and unquantized weights; that of the checkpoint if absent.",
    };

    private readonly Option<string> device = new("--device", "-d")
    {
        Description = "Where the model runs, such as cpu or cuda:0.",
        DefaultValueFactory = _ => "cpu",
        HelpName = "name",
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        dtype.AcceptOnlyFromAmong(DTypes);
        command.Add(model);
        command.Add(tokenizer);
        command.Add(dtype);
        command.Add(device);
    }

    /// <summary>Gets the model's path.</summary>
    public string Path(ParseResult parsed) => parsed.GetValue(model) ?? ShippedFiles.StoryModel;

    /// <summary>Gets whether the command line names a model.</summary>
    public bool IsNamed(ParseResult parsed) => parsed.GetValue(model) is not null;

    /// <summary>Makes a model of random weights. The caller disposes it.</summary>
    public LlamaForCausalLM Create(ParseResult parsed, LlamaConfig shape) => new(shape, DType(parsed) ?? shape.DType, Device(parsed));

    /// <summary>Loads the model as it is. The caller disposes it.</summary>
    public LlamaForCausalLM Load(ParseResult parsed) => LlamaLoader.Load(Path(parsed), DType(parsed), Device(parsed));

    /// <summary>Loads the model, and quantizes it meanwhile where there is a recipe. The caller disposes it.</summary>
    public LoadedModel Load(
        ParseResult parsed, QuantizeRecipe? recipe, Terminal terminal, CancellationToken cancellation, bool measuresError = false,
        string? kernel = null)
    {
        if (recipe is null)
        {
            return new LoadedModel(Load(parsed), null);
        }

        return LayerProgress.Run(terminal, LlamaLoader.ReadConfig(Path(parsed)).LinearLayers, progress =>
        {
            (LlamaForCausalLM model, QuantizeReport report) = LlamaLoader.LoadAndQuantize(
                Path(parsed), recipe.Rules, DType(parsed), new QuantizeOptions
                {
                    Device = Device(parsed),
                    Modules = recipe.Modules,
                    Kernel = kernel,
                    MeasureError = measuresError,
                    Progress = progress,
                    CancellationToken = cancellation,
                });
            return new LoadedModel(model, CommandWords.Of(report));
        });
    }

    /// <summary>Opens the tokenizer and verifies that it is the model's.</summary>
    public Tokenizer OpenTokenizer(ParseResult parsed, LlamaForCausalLM loaded)
    {
        string path = Path(parsed);
        string folder = Directory.Exists(path) ? path : System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;
        Tokenizer opened = Tokenizer.Open(parsed.GetValue(tokenizer) ?? folder);
        opened.EnsureFits(loaded.Config.VocabSize);
        return opened;
    }

    private Device Device(ParseResult parsed)
    {
        string name = parsed.GetRequiredValue(device);
        string[] parts = name.Split(':');
        bool isNumbered = parts.Length == 2 && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out _);
        if (parts[0] is not ("cpu" or "cuda") || !(parts.Length == 1 || isNumbered))
        {
            throw new ArgumentException($"--device {name}, expected cpu, cuda or cuda:0.");
        }

        if (parts[0] == "cuda" && !cuda.is_available())
        {
            throw new QuantizationException(
                $"--device {name}: libtorch sees no CUDA device; use cpu, or name a PyTorch with CUDA in TORCHAO_LIBTORCH.");
        }

        return new Device(name);
    }

    private ScalarType? DType(ParseResult parsed) => parsed.GetValue(dtype) switch
    {
        "float32" => ScalarType.Float32,
        "bfloat16" => ScalarType.BFloat16,
        "float16" => ScalarType.Float16,
        _ => null,
    };
}
