using TorchAO.Formats;
using TorchAO.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>Copies of one weight that no cache holds together, used one after another: each product reads its weight from memory.</summary>
internal sealed class RotatingWeights : IDisposable
{
    private const long BytesOfAll = 256L << 20;

    private readonly LinearExecutor[] quantized;
    private readonly Tensor[] plain;
    private int next;

    /// <summary>Makes the copies.</summary>
    public RotatingWeights(WeightCase weight)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(1);
        Tensor original = randn(weight.OutFeatures, weight.InFeatures);
        plain = [.. Copies(weight.FloatBytes).Select(_ => original.clone().DetachFromDisposeScope())];
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(weight.Config);
        quantized =
        [
            .. Copies(weight.QuantizedBytes).Select(_ => BuiltInFormats.Catalog.Format(handler.FormatName).CreateExecutor(
                handler.Quantize(original, weight.Config), activation: handler.Activation(weight.Config))),
        ];
    }

    /// <summary>Multiplies by the next copy in float32.</summary>
    public void MultiplyFloat(Tensor input) => nn.functional.linear(input, plain[next++ % plain.Length]).Dispose();

    /// <summary>Multiplies by the next quantized copy.</summary>
    public void MultiplyQuantized(Tensor input) => quantized[next++ % quantized.Length].Forward(input, null).Dispose();

    /// <inheritdoc/>
    public void Dispose()
    {
        Array.ForEach(quantized, executor => executor.Dispose());
        Array.ForEach(plain, tensor => tensor.Dispose());
    }

    private static IEnumerable<long> Copies(long bytes)
    {
        for (long copied = 0; copied < BytesOfAll; copied += bytes)
        {
            yield return copied;
        }
    }
}
