using TorchAO.Kernels.Cuda;
using TorchAO.KvCache;
using TorchAO.Modules;
using TorchAO.Primitives;
using TorchAO.Runtime.Cuda;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama.Cuda;

/// <summary>Collects the launches of a decode step from the modules of a model, or the first reason why a module has none.</summary>
/// <param name="device">Where they run.</param>
/// <param name="buffers">What they work on.</param>
internal sealed class DecodeRecorder(CudaDevice device, GraphBuffers buffers)
{
    private readonly List<ICudaLaunch> launches = [];

    /// <summary>Gets what the launches work on.</summary>
    public GraphBuffers Buffers => buffers;

    /// <summary>Gets why the step cannot be recorded; <see langword="null"/> so far.</summary>
    public string? Obstacle { get; private set; }

    /// <summary>Gets the launches, in order.</summary>
    public IReadOnlyList<ICudaLaunch> Launches => launches;

    /// <summary>Notes a reason, unless there is one already.</summary>
    public void Fail(string reason) => Obstacle ??= reason;

    /// <summary>Adds the look-up of tokens in a table.</summary>
    public void Embed(object table)
    {
        if (Find(table) is { } weight)
        {
            launches.Add(new CudaEmbedding(weight, buffers.State.Tokens, buffers.Hidden));
        }
    }

    /// <summary>Adds a product with one to three layers of the same kind.</summary>
    /// <param name="layers">Linear layers, or a table that is a head.</param>
    /// <param name="input">Activations.</param>
    /// <param name="output">Where results go.</param>
    /// <param name="epilogue">What becomes of the sums.</param>
    /// <param name="norm">The norm before them, or <see langword="null"/>.</param>
    public void Multiply(
        IReadOnlyList<object> layers, Tensor input, Tensor output, GemvEpilogue epilogue = GemvEpilogue.Store, RmsNorm? norm = null)
    {
        var weights = new List<CudaWeight>();
        foreach (object layer in layers)
        {
            if (Find(layer) is not { } weight)
            {
                return;
            }

            weights.Add(weight);
        }

        ActivationScheme?[] schemes = [.. layers.Select(SchemeOf).Distinct()];
        if (schemes.Length > 1)
        {
            Fail($"layers beside each other round activations differently ({string.Join(", ", schemes.Select(scheme => scheme?.ToString() ?? "not at all"))})");
            return;
        }

        Tensor?[] biases = [.. layers.Select(BiasOf)];
        var product = new GemvProduct
        {
            Weights = weights,
            Biases = biases.Any(bias => bias is not null) ? biases : null,
            Input = input,
            Output = output,
            Gain = norm?.Gain,
            Epsilon = norm?.Epsilon ?? 0,
            Epilogue = epilogue,
            Activation = schemes[0],
        };
        if (product.ReasonToRefuse() is { } reason)
        {
            Fail(reason);
            return;
        }

        launches.Add(new GemvLaunch(device, product));
    }

    /// <summary>Adds attention over a layer of the cache.</summary>
    public void Attend(KeyValueCache cache, int layer, (Tensor Cosine, Tensor Sine) rotary, RmsNorm? queryNorm, RmsNorm? keyNorm)
    {
        if (buffers.Shape.ReasonToRefuse() is { } reason)
        {
            Fail(reason);
            return;
        }

        (IReadOnlyList<Tensor> keys, IReadOnlyList<Tensor> values) = cache.Stored(layer);
        launches.Add(new CudaAttention(
            buffers.Shape,
            new CudaAttentionTensors
            {
                Projected = buffers.Projected,
                Output = buffers.Attended,
                Keys = keys,
                Values = values,
                Cosine = rotary.Cosine,
                Sine = rotary.Sine,
                Position = buffers.State.Position,
                Scratch = buffers.Scratch,
                QueryGain = queryNorm?.Gain,
                KeyGain = keyNorm?.Gain,
            },
            CodeOf(cache.Format)));
    }

    private static CudaCacheCode CodeOf(KeyValueFormat format) => format switch
    {
        KeyValueFormat.Float => CudaCacheCode.Number,
        KeyValueFormat.Int8 => CudaCacheCode.Int8,
        KeyValueFormat.Float8 => CudaCacheCode.Float8,
        KeyValueFormat.Int4 => CudaCacheCode.Int4,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "expected a member of KeyValueFormat."),
    };

    private static Tensor? BiasOf(object layer) => layer switch
    {
        Linear linear => linear.bias,
        QuantizedLinear quantized => quantized.Bias,
        _ => null,
    };

    // One new token a sequence is an input of three dimensions: some schemes leave that alone.
    private static ActivationScheme? SchemeOf(object layer) =>
        layer is QuantizedModule { Executor.Activation: { IsWeightOnlyInDecode: false } scheme } ? scheme : null;

    private CudaWeight? Find(object layer)
    {
        switch (layer)
        {
            case QuantizedModule quantized:
                CudaWeight? weight = quantized.Executor.LookCuda();
                if (weight is null)
                {
                    Fail($"{quantized.Weight.Format} weights have no kernel of decode graphs");
                }

                return weight;
            case Linear { weight: { } matrix }:
                return OfFloat(matrix);
            case Embedding { weight: { } table }:
                return OfFloat(table);
            default:
                Fail($"a layer is {layer.GetType().Name}, expected Linear, Embedding or a quantized one");
                return null;
        }
    }

    private CudaWeight? OfFloat(Tensor weight)
    {
        if (weight.dtype is ScalarType.BFloat16 or ScalarType.Float16)
        {
            return CudaWeight.OfTensor(weight);
        }

        Fail($"a weight is {weight.dtype}, the kernels take BFloat16 and Float16");
        return null;
    }
}
