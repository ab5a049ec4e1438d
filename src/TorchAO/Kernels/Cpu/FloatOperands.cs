using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu;

/// <summary>Activations, bias and result of a product in float32, for kernels that accumulate in it.</summary>
/// <remarks>float16 and bfloat16 activations are widened, which is exact, and the result is rounded once, at the end.</remarks>
internal sealed class FloatOperands : IDisposable
{
    private readonly ScalarType type;
    private readonly bool ownsInput;
    private bool isTaken;

    /// <summary>Prepares a product.</summary>
    /// <param name="input">Activations <c>[M, K]</c>, contiguous, on the CPU; not consumed.</param>
    /// <param name="bias">The bias <c>[N]</c>, or <see langword="null"/>; not consumed.</param>
    /// <param name="outFeatures">N.</param>
    /// <param name="spreadsRows">Whether several rows are copied to a distance at which they share the cache.</param>
    public FloatOperands(Tensor input, Tensor? bias, long outFeatures, bool spreadsRows = false)
    {
        type = input.dtype;
        (long m, long k) = (input.size(0), input.size(1));
        long stride = spreadsRows && m > 1 ? CacheStride.Spread(k) : k;
        if (stride == k)
        {
            ownsInput = type != ScalarType.Float32;
            Input = ownsInput ? input.to(ScalarType.Float32) : input;
        }
        else
        {
            ownsInput = true;
            Input = empty(m, stride, dtype: ScalarType.Float32);
            using Tensor rows = Input.narrow(1, 0, k);
            rows.copy_(input);
        }

        if (bias is not null)
        {
            using Tensor converted = bias.to(ScalarType.Float32);
            Bias = converted.contiguous();
        }

        Output = empty(m, outFeatures, dtype: ScalarType.Float32);
    }

    /// <summary>Gets the activations <c>[M, K]</c>, or <c>[M, more]</c> where rows were spread.</summary>
    public Tensor Input { get; }

    /// <summary>Gets the bias <c>[N]</c>.</summary>
    public Tensor? Bias { get; }

    /// <summary>Gets the result <c>[M, N]</c>, to be filled.</summary>
    public Tensor Output { get; }

    /// <summary>Takes the result in the type of the activations. The caller disposes it.</summary>
    public Tensor TakeOutput()
    {
        isTaken = type == ScalarType.Float32;
        return isTaken ? Output : Output.to(type);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Bias?.Dispose();
        if (ownsInput)
        {
            Input.Dispose();
        }

        if (!isTaken)
        {
            Output.Dispose();
        }
    }
}
