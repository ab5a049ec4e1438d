using TorchAO.Models.Llama;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama;

/// <summary>The decoder written out in double precision, loop by loop, without caches, masks or tensors: the oracle.</summary>
internal sealed class NaiveLlama
{
    private readonly LlamaConfig config;
    private readonly Dictionary<string, double[]> weights = [];

    public NaiveLlama(LlamaForCausalLM model)
    {
        config = model.Config;
        foreach ((string name, Parameter parameter) in model.named_parameters())
        {
            using Tensor wide = parameter.to(ScalarType.Float64);
            weights[name] = wide.data<double>().ToArray();
        }
    }

    /// <summary>Computes logits <c>[T][vocabulary]</c>.</summary>
    public double[][] Forward(long[] ids)
    {
        int width = config.HiddenSize;
        double[] table = weights["model.embed_tokens.weight"];
        double[][] stream = [.. ids.Select(id => table[((int)id * width)..(((int)id + 1) * width)])];
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string name = $"model.layers.{layer}";
            double[][] attended = Attend(
                [.. stream.Select(x => Norm(x, weights[$"{name}.input_layernorm.weight"]))], $"{name}.self_attn");
            stream = [.. stream.Zip(attended, Add)];
            stream = [.. stream.Select(x => Add(
                x, FeedForward(Norm(x, weights[$"{name}.post_attention_layernorm.weight"]), $"{name}.mlp")))];
        }

        string head = config.IsTied ? "model.embed_tokens" : "lm_head";
        return [.. stream.Select(x => Linear(Norm(x, weights["model.norm.weight"]), head))];
    }

    private double[][] Attend(double[][] input, string name)
    {
        int size = config.HeadSize;
        double[][] output = [.. input.Select(_ => new double[config.Heads * size])];
        double[][] queries = [.. input.Select(x => Linear(x, $"{name}.q_proj"))];
        double[][] keys = [.. input.Select(x => Linear(x, $"{name}.k_proj"))];
        double[][] values = [.. input.Select(x => Linear(x, $"{name}.v_proj"))];
        for (int head = 0; head < config.Heads; head++)
        {
            int shared = head / (config.Heads / config.KeyValueHeads);
            for (int t = 0; t < input.Length; t++)
            {
                double[] query = Turn(Slice(queries[t], head), t, $"{name}.q_norm");
                int first = config.SlidingWindow is int window ? Math.Max(0, t - window + 1) : 0;
                double[] scores = [.. Enumerable.Range(first, t - first + 1).Select(s =>
                    Math.Exp(Dot(query, Turn(Slice(keys[s], shared), s, $"{name}.k_norm")) / Math.Sqrt(size)))];
                for (int s = first; s <= t; s++)
                {
                    double[] value = Slice(values[s], shared);
                    for (int i = 0; i < size; i++)
                    {
                        output[t][(head * size) + i] += scores[s - first] / scores.Sum() * value[i];
                    }
                }
            }
        }

        return [.. output.Select(x => Linear(x, $"{name}.o_proj"))];
    }

    private double[] Slice(double[] heads, int head) => heads[(head * config.HeadSize)..((head + 1) * config.HeadSize)];

    private double[] Turn(double[] head, int position, string norm)
    {
        if (weights.TryGetValue($"{norm}.weight", out double[]? gain))
        {
            head = Norm(head, gain);
        }

        int half = head.Length / 2;
        double[] turned = new double[head.Length];
        for (int i = 0; i < half; i++)
        {
            double frequency = Math.Pow(config.RopeTheta, -2.0 * i / head.Length);
            frequency = config.RopeScaling?.Apply(frequency) ?? frequency;
            (double sine, double cosine) = Math.SinCos(position * frequency);
            turned[i] = (head[i] * cosine) - (head[i + half] * sine);
            turned[i + half] = (head[i + half] * cosine) + (head[i] * sine);
        }

        return turned;
    }

    private double[] FeedForward(double[] x, string name) => Linear(
        [.. Linear(x, $"{name}.gate_proj").Zip(Linear(x, $"{name}.up_proj"), (gate, up) => gate / (1 + Math.Exp(-gate)) * up)],
        $"{name}.down_proj");

    private double[] Linear(double[] x, string name)
    {
        double[] weight = weights[$"{name}.weight"];
        double[] y = [.. Enumerable.Range(0, weight.Length / x.Length).Select(row => Dot(weight.AsSpan(row * x.Length, x.Length), x))];
        return weights.TryGetValue($"{name}.bias", out double[]? bias) ? Add(y, bias) : y;
    }

    private double[] Norm(double[] x, double[] gain)
    {
        double root = Math.Sqrt((Dot(x, x) / x.Length) + config.NormEpsilon);
        return [.. x.Zip(gain, (value, factor) => value / root * factor)];
    }

    private static double[] Add(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            sum += a[i] * b[i];
        }

        return sum;
    }
}
