using System.CommandLine;
using TorchAO.KvCache;
using TorchAO.Models.Generation;
using TorchAO.Models.Text;

namespace TorchAO.Cli;

/// <summary>All options of a command that lets a model write: which model, how it is quantized, how it goes on.</summary>
internal sealed class GenerationRequest
{
    private readonly ModelArguments model = new();
    private readonly QuantizeArguments quantize = new();
    private readonly GenerationArguments generation = new();

    /// <summary>Makes a command with these options; the work runs off the thread that hears of Ctrl-C.</summary>
    public Command CreateCommand(string name, string description, Func<ParseResult, CancellationToken, int> run)
    {
        var command = new Command(name, description);
        model.AddTo(command);
        quantize.AddTo(command);
        generation.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() => run(parsed, cancellation), CancellationToken.None));
        return command;
    }

    /// <summary>Reads how the cache stores keys and values.</summary>
    public KeyValueFormat CacheFormat(ParseResult parsed) => generation.CacheFormat(parsed);

    /// <summary>Gets the model's name, for people.</summary>
    public string ModelName(ParseResult parsed) => Path.GetFileName(Path.TrimEndingDirectorySeparator(model.Path(parsed)));

    /// <summary>Reads the options, loads the model and opens its tokenizer. The caller disposes the model.</summary>
    public (LoadedModel Model, Tokenizer Tokenizer, GenerationOptions Options) Open(
        ParseResult parsed, Terminal terminal, CancellationToken cancellation)
    {
        GenerationOptions options = generation.Read(parsed);
        LoadedModel loaded = model.Load(parsed, quantize.Recipe(parsed), terminal, cancellation);
        try
        {
            return (loaded, model.OpenTokenizer(parsed, loaded.Model), options);
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }
}
