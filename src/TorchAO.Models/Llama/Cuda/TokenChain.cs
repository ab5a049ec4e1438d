using TorchAO.Runtime.Cuda;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama.Cuda;

/// <summary>Gives the likeliest tokens of one sequence one after the other, chosen on the device.</summary>
/// <remarks>
/// A step is always on its way while the token before it is read, so that the device never waits for the host. A step that nobody
/// asks for writes behind the cache's length only.
/// </remarks>
/// <param name="model">The model.</param>
/// <param name="cache">A cache of one sequence.</param>
internal sealed class TokenChain(LlamaForCausalLM model, KeyValueCache cache) : IDisposable
{
    private DecodeGraph? graph;
    private CudaEvent? current;
    private CudaEvent? next;
    private int token;
    private int begun; // the position behind the last input whose step has begun; 0 before the first

    /// <summary>Gets the token behind the cache and a token that is to be read.</summary>
    /// <param name="last">The token behind the cache.</param>
    /// <returns>The likeliest one behind it; <see langword="null"/> where no graph can run: <see cref="LlamaForCausalLM.ExplainDecode"/>.</returns>
    public int? Next(int last)
    {
        if (cache.Batch != 1 || model.Graph(cache) is not { } usable)
        {
            return null;
        }

        int position = cache.Length;
        if (usable != graph || last != token || begun <= position)
        {
            Begin(usable, last, position);
        }

        if (begun < cache.Capacity)
        {
            Advance(ref next);
        }

        current!.Synchronize();
        token = usable.TokenAt(position + 1);
        if (token < 0)
        {
            begun = 0;
            throw new ArgumentException($"the scores behind token {position} are not numbers; the model's weights or its type are at fault.");
        }

        (current, next) = (next, current);
        cache.Advance(1);
        cache.LastStep = usable.Path;
        return token;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        current?.Dispose();
        next?.Dispose();
    }

    private void Begin(DecodeGraph usable, int last, int position)
    {
        graph = usable;
        using Tensor ids = tensor((long[])[last], [1, 1], device: model.Device);
        usable.Seat(ids, position);
        begun = position;
        Advance(ref current);
    }

    private void Advance(ref CudaEvent? done)
    {
        done ??= graph!.CreateEvent();
        graph!.Advance(done);
        begun++;
    }
}
