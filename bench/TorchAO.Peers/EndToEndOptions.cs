using System.Globalization;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using static TorchSharp.torch;

namespace TorchAO.Peers;

/// <summary>What <c>end-to-end</c> measures.</summary>
internal sealed record EndToEndOptions
{
    /// <summary>Gets the models: shapes of <see cref="LlamaShapes"/> for random weights, or paths of models.</summary>
    public IReadOnlyList<string> Models { get; init; } = ["assets/stories260k", "15m", "110m", "1b"];

    /// <summary>Gets the length of the prompt.</summary>
    public int PromptTokens { get; init; } = 128;

    /// <summary>Gets how many tokens follow the prompt in a turn.</summary>
    public int NewTokens { get; init; } = 32;

    /// <summary>Gets how many turns each model has.</summary>
    public int Rounds { get; init; } = 11;

    /// <summary>Reads <c>--models 15m,1b --prompt 128 --new 32 --rounds 11</c>.</summary>
    /// <exception cref="ArgumentException">An option that is none of these, or without its value.</exception>
    public static EndToEndOptions Parse(ReadOnlySpan<string> arguments)
    {
        var options = new EndToEndOptions();
        for (; !arguments.IsEmpty; arguments = arguments[2..])
        {
            if (arguments.Length == 1)
            {
                throw new ArgumentException($"{arguments[0]} has no value.");
            }

            string value = arguments[1];
            options = arguments[0] switch
            {
                "--models" => options with { Models = value.Split(',') },
                "--prompt" => options with { PromptTokens = int.Parse(value, CultureInfo.InvariantCulture) },
                "--new" => options with { NewTokens = int.Parse(value, CultureInfo.InvariantCulture) },
                "--rounds" => options with { Rounds = int.Parse(value, CultureInfo.InvariantCulture) },
                _ => throw new ArgumentException(
                    $"{arguments[0]} is no option; expected --models, --prompt, --new or --rounds."),
            };
        }

        return options;
    }

    /// <summary>Makes a model in float32. The caller disposes it.</summary>
    public static LlamaForCausalLM Create(string name)
    {
        if (!LlamaShapes.Names.Contains(name))
        {
            return LlamaLoader.Load(Path.Combine(SourceTree.Root, name), ScalarType.Float32);
        }

        random.manual_seed(1);
        return new LlamaForCausalLM(LlamaShapes.Find(name));
    }
}
