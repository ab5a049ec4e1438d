using System.Runtime.CompilerServices;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Fused;

/// <summary>The elements of a contiguous tensor in float32, bfloat16 or float16 on the CPU (scales, least values), as float32.</summary>
/// <remarks>Holds an address: the tensor must outlive the value.</remarks>
internal readonly unsafe struct StoredNumbers
{
    private readonly byte* address;

    public StoredNumbers(Tensor tensor)
    {
        Type = tensor.dtype;
        if (Type is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16))
        {
            throw new ArgumentException($"expected Float32, BFloat16 or Float16, got {TensorMemory.Describe(tensor)}.", nameof(tensor));
        }

        address = TensorMemory.Address<byte>(tensor);
    }

    /// <summary>Gets the type in which they are stored.</summary>
    public ScalarType Type { get; }

    /// <summary>Gets an element.</summary>
    public float this[long index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Type switch
        {
            ScalarType.Float32 => ((float*)address)[index],
            ScalarType.BFloat16 => Numerics.BFloat16.Decode(((ushort*)address)[index]),
            _ => (float)((Half*)address)[index],
        };
    }

    /// <summary>Sets an element to a value of the type.</summary>
    public void Set(long index, float value)
    {
        switch (Type)
        {
            case ScalarType.Float32:
                ((float*)address)[index] = value;
                break;
            case ScalarType.BFloat16:
                ((ushort*)address)[index] = Numerics.BFloat16.Encode(value);
                break;
            default:
                ((Half*)address)[index] = (Half)value;
                break;
        }
    }

    /// <summary>Rounds a number to the type.</summary>
    public float Round(float value) => Type switch
    {
        ScalarType.Float32 => value,
        ScalarType.BFloat16 => Numerics.BFloat16.Round(value),
        _ => (float)(Half)value,
    };
}
