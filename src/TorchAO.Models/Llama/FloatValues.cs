using TorchAO.Numerics;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TorchAO.Models.Llama;

/// <summary>Tensors on the CPU as float32 numbers and back, without a tensor operator.</summary>
internal static class FloatValues
{
    /// <summary>Gets the numbers of a contiguous tensor: in place where they are float32, widened into the scratch space otherwise.</summary>
    public static ReadOnlySpan<float> Of(Tensor tensor, float[] scratch)
    {
        ScalarType type = tensor.dtype;
        if (type == ScalarType.Float32)
        {
            return TensorMemory.ReadOnlySpan<float>(tensor);
        }

        Span<float> wide = scratch.AsSpan(0, checked((int)tensor.numel()));
        if (type == ScalarType.BFloat16)
        {
            BFloat16.Decode(TensorMemory.ReadOnlySpan<ushort>(tensor), wide);
        }
        else
        {
            TensorPrimitives.ConvertToSingle(TensorMemory.ReadOnlySpan<Half>(tensor), wide);
        }

        return wide;
    }

    /// <summary>Gets a tensor without gaps: the same where it has none. What is new belongs to the current scope.</summary>
    public static Tensor Contiguous(Tensor tensor) => tensor.is_contiguous() ? tensor : tensor.contiguous();

    /// <summary>Rounds numbers into a contiguous bfloat16 or float16 tensor.</summary>
    public static void Round(ReadOnlySpan<float> values, Tensor tensor)
    {
        if (tensor.dtype == ScalarType.BFloat16)
        {
            BFloat16.Encode(values, TensorMemory.Span<ushort>(tensor));
        }
        else
        {
            TensorPrimitives.ConvertToHalf(values, TensorMemory.Span<Half>(tensor));
        }
    }
}
