using TorchAO.Models.Evaluation;
using TorchAO.Models.Llama;
using TorchAO.Models.Tests.Llama;
using TorchAO.Tests;
using Xunit;

namespace TorchAO.Models.Tests.Evaluation;

public sealed class LanguageModelEvaluationTests
{
    [Fact]
    public void Scores_are_those_of_the_definitions_written_out()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        using LlamaForCausalLM reference = SmallLlamas.Create(SmallLlamas.Config, seed: 8);
        int[] text = [.. Enumerable.Range(0, 40).Select(i => i * 7 % 37)];
        TokenWindow[] windows = [.. TokenWindow.Slide(text, 16, 5)];

        LanguageModelScore score = Score(model, windows, reference);

        (double nll, double hits, double divergence, double largest, double agreements) = (0, 0, 0, 0, 0);
        foreach (TokenWindow window in windows)
        {
            long[] ids = [.. window.Ids.SkipLast(1).Select(id => (long)id)];
            double[][] p = [.. new NaiveLlama(model).Forward(ids).Select(Softmax)];
            double[][] q = [.. new NaiveLlama(reference).Forward(ids).Select(Softmax)];
            for (int i = window.FirstScored; i < window.Ids.Count; i++)
            {
                (double[] got, double[] wanted) = (p[i - 1], q[i - 1]);
                nll -= Math.Log(got[window.Ids[i]]);
                hits += Array.IndexOf(got, got.Max()) == window.Ids[i] ? 1 : 0;
                double kl = wanted.Zip(got, (w, g) => w * Math.Log(w / g)).Sum();
                divergence += kl;
                largest = Math.Max(largest, kl);
                agreements += Array.IndexOf(got, got.Max()) == Array.IndexOf(wanted, wanted.Max()) ? 1 : 0;
            }
        }

        Assert.Equal(39, score.Tokens);
        Assert.Equal(nll / 39, score.NegativeLogLikelihood, 1e-4);
        Assert.Equal(Math.Exp(nll / 39), score.Perplexity, 1e-2);
        Assert.Equal(hits / 39, score.Accuracy, 9);
        Assert.Equal(divergence / 39, score.Divergence!.Mean, 1e-4);
        Assert.Equal(largest, score.Divergence.Largest, 1e-3);
        Assert.Equal(agreements / 39, score.Divergence.Agreement, 9);
    }

    [Fact]
    public void A_model_does_not_differ_from_itself()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        LanguageModelScore score = Score(model, [new TokenWindow([1, 2, 3, 4])], model);
        Assert.Equal(new ReferenceDivergence(0, 0, 1), score.Divergence);
    }

    [Fact]
    public void Nothing_to_score_and_a_cancelled_wish_are_refused_and_leave_no_tensor()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        Score(model, [new TokenWindow([1, 2])]);
        long before = LiveTensors.Count();
        Assert.Throws<ArgumentException>(() => Score(model, []));
        Assert.Throws<ArgumentException>(() => Score(model, [new TokenWindow([1])]));
        Assert.Throws<OperationCanceledException>(() => LanguageModelEvaluation.Score(
            model, [new TokenWindow([1, 2])], cancellation: new CancellationToken(canceled: true)));
        Score(model, [new TokenWindow([1, 2, 3])], model);
        Assert.Equal(before, LiveTensors.Count());
    }

    private static LanguageModelScore Score(
        LlamaForCausalLM model, IEnumerable<TokenWindow> windows, LlamaForCausalLM? reference = null) =>
        LanguageModelEvaluation.Score(model, windows, reference, cancellation: TestContext.Current.CancellationToken);

    private static double[] Softmax(double[] logits)
    {
        double[] powers = [.. logits.Select(Math.Exp)];
        return [.. powers.Select(power => power / powers.Sum())];
    }
}
