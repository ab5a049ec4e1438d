using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TorchAO.Kernels.Cpu;

/// <summary>The rows of a small floating-point matrix (scales, zero points) as float32, whatever type they are kept in.</summary>
/// <remarks>Holds an address: the tensor must outlive the value.</remarks>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct FloatRows
{
    private readonly void* address;
    private readonly ScalarType type;

    /// <summary>Looks at a contiguous matrix <c>[rows, columns]</c> in float32, float16 or bfloat16 on the CPU.</summary>
    public FloatRows(Tensor matrix)
    {
        type = matrix.dtype;
        Columns = checked((int)matrix.size(-1));
        address = type switch
        {
            ScalarType.Float32 => TensorMemory.Address<float>(matrix),
            ScalarType.BFloat16 => TensorMemory.Address<ushort>(matrix),
            ScalarType.Float16 => TensorMemory.Address<Half>(matrix),
            _ => throw new ArgumentException($"expected Float32, BFloat16 or Float16, got {type}.", nameof(matrix)),
        };
    }

    /// <summary>Gets the length of a row.</summary>
    public int Columns { get; }

    /// <summary>Gets a row: in place where it is float32, widened into the scratch space otherwise.</summary>
    /// <param name="row">The row's index.</param>
    /// <param name="scratch">Room for <see cref="Columns"/> values.</param>
    public float* Row(long row, float* scratch) => Rows(row, 1, scratch);

    /// <summary>Gets some rows, one behind the other.</summary>
    /// <param name="row">The first row's index.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="scratch">Room for as many values.</param>
    public float* Rows(long row, int rows, float* scratch) => From(row * Columns, rows * Columns, scratch);

    /// <summary>Gets a part of a row.</summary>
    /// <param name="row">The row's index.</param>
    /// <param name="first">The first column.</param>
    /// <param name="count">Columns.</param>
    /// <param name="scratch">Room for as many values.</param>
    public float* Part(long row, int first, int count, float* scratch) => From((row * Columns) + first, count, scratch);

    private float* From(long offset, int count, float* scratch)
    {
        switch (type)
        {
            case ScalarType.Float32:
                return (float*)address + offset;
            case ScalarType.BFloat16:
                Widen((ushort*)address + offset, count, scratch);
                return scratch;
            default:
                TensorPrimitives.ConvertToSingle(new ReadOnlySpan<Half>((Half*)address + offset, count), new Span<float>(scratch, count));
                return scratch;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen(ushort* bits, int count, float* to)
    {
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(Vector128.Load(bits + i));
            (Vector256.Create(low, high) << 16).AsSingle().Store(to + i);
        }

        for (; i < count; i++)
        {
            to[i] = BitConverter.UInt32BitsToSingle((uint)bits[i] << 16);
        }
    }
}
