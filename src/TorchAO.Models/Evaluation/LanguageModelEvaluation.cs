using TorchAO.KvCache;
using TorchAO.Models.Llama;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Evaluation;

/// <summary>Scores a language model on a text: likelihood, accuracy, and the distance to a reference model.</summary>
public static class LanguageModelEvaluation
{
    /// <summary>Scores a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="windows">What it reads; see <see cref="TokenWindow"/> for the two usual ways.</param>
    /// <param name="reference">The model to compare with, or none; may be on another device.</param>
    /// <param name="progress">Told the score so far after each window.</param>
    /// <param name="cacheFormat">Reads each window token by token through a cache of this format, as in generation; at once and
    /// without a cache if absent.</param>
    /// <param name="cancellation">Stops between two windows.</param>
    /// <returns>The score over all windows; sums are kept in double precision.</returns>
    /// <exception cref="ArgumentException">There is no window, or one that scores nothing.</exception>
    /// <exception cref="OperationCanceledException">The evaluation was stopped.</exception>
    public static LanguageModelScore Score(
        LlamaForCausalLM model,
        IEnumerable<TokenWindow> windows,
        LlamaForCausalLM? reference = null,
        IProgress<LanguageModelScore>? progress = null,
        KeyValueFormat? cacheFormat = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(windows);
        var sums = new Sums(reference is not null);
        using IDisposable noGradient = inference_mode();
        foreach (TokenWindow window in windows)
        {
            cancellation.ThrowIfCancellationRequested();
            if (window.FirstScored < 1 || window.Scored < 1)
            {
                throw new ArgumentException(
                    $"a window of {window.Ids.Count} ids whose first scored one is {window.FirstScored}; expected at least two " +
                    "ids and a first scored one behind the first.", nameof(windows));
            }

            using DisposeScope scope = NewDisposeScope();
            Tensor predicted = Predict(model, window, cacheFormat);
            sums.Add(predicted, reference is null ? null : Predict(reference, window, null).to(predicted.device), window);
            progress?.Report(sums.Score());
        }

        return sums.Tokens > 0 ? sums.Score() : throw new ArgumentException("no window; expected a text.", nameof(windows));
    }

    /// <summary>Computes ln p <c>[scored, vocabulary]</c>, in float64.</summary>
    private static Tensor Predict(LlamaForCausalLM model, TokenWindow window, KeyValueFormat? cacheFormat)
    {
        // The last id predicts nothing that is known.
        Tensor ids = tensor([.. window.Ids.SkipLast(1).Select(id => (long)id)], [1, window.Ids.Count - 1], device: model.Device);
        Tensor all = cacheFormat is { } format ? Stepwise(model, ids, format) : model.forward(ids);
        Tensor logits = all.squeeze(0).narrow(0, window.FirstScored - 1, window.Scored);
        return nn.functional.log_softmax(logits.to(ScalarType.Float64), -1);
    }

    private static Tensor Stepwise(LlamaForCausalLM model, Tensor ids, KeyValueFormat format)
    {
        int count = checked((int)ids.size(1));
        using var cache = new KeyValueCache(
            model.Config, capacity: count, dtype: model.DType, device: model.Device, format: format);
        return cat([.. Enumerable.Range(0, count).Select(i => model.Step(ids.narrow(1, i, 1), cache))], 1);
    }

    private sealed class Sums(bool hasReference)
    {
        private double likelihood;
        private double divergence;
        private double largest;
        private long hits;
        private long agreements;

        public long Tokens { get; private set; }

        public void Add(Tensor predicted, Tensor? reference, TokenWindow window)
        {
            Tensor next = tensor(
                [.. window.Ids.Skip(window.FirstScored).Select(id => (long)id)], [window.Scored, 1], device: predicted.device);
            Tensor likeliest = predicted.argmax(-1);
            Tokens += window.Scored;
            likelihood -= predicted.gather(1, next).sum().item<double>();
            hits += likeliest.eq(next.squeeze(1)).sum().item<long>();
            if (reference is not null)
            {
                Tensor each = reference.exp().mul(reference.sub(predicted)).sum(dim: -1);
                divergence += each.sum().item<double>();
                largest = Math.Max(largest, each.max().item<double>());
                agreements += likeliest.eq(reference.argmax(-1)).sum().item<long>();
            }
        }

        public LanguageModelScore Score() => new(
            Tokens, likelihood / Tokens, (double)hits / Tokens,
            hasReference ? new ReferenceDivergence(divergence / Tokens, largest, (double)agreements / Tokens) : null);
    }
}
