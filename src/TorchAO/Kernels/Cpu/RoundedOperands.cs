using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu;

/// <summary>Bias and result of a product whose activations were rounded to codes, in float32.</summary>
internal sealed unsafe class RoundedOperands : IDisposable
{
    private readonly ScalarType type;
    private readonly Tensor? bias;
    private readonly Tensor output;
    private bool isTaken;

    /// <summary>Prepares a product.</summary>
    /// <param name="input">Activations <c>[M, K]</c>; only their count and type matter.</param>
    /// <param name="bias">The bias <c>[N]</c>, or <see langword="null"/>; not consumed.</param>
    /// <param name="outFeatures">N.</param>
    public RoundedOperands(Tensor input, Tensor? bias, long outFeatures)
    {
        type = input.dtype;
        if (bias is not null)
        {
            using Tensor converted = bias.to(ScalarType.Float32);
            this.bias = converted.contiguous();
        }

        output = empty(input.size(0), outFeatures, dtype: ScalarType.Float32);
    }

    /// <summary>Gets the address of the bias, or null.</summary>
    public float* BiasAddress => bias is null ? null : TensorMemory.Address<float>(bias);

    /// <summary>Gets the address of the result <c>[M, N]</c>, to be filled.</summary>
    public float* OutputAddress => TensorMemory.Address<float>(output);

    /// <summary>Takes the result in the type of the activations. The caller disposes it.</summary>
    public Tensor TakeOutput()
    {
        isTaken = type == ScalarType.Float32;
        return isTaken ? output : output.to(type);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        bias?.Dispose();
        if (!isTaken)
        {
            output.Dispose();
        }
    }
}
