using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu;

/// <summary>Zero points of a weight in float32, whether they are kept as values of the middle code or as codes of value 0.</summary>
/// <remarks>Holds an address: the tensor must outlive the value.</remarks>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct ZeroPointRows
{
    private readonly FloatRows values;
    private readonly byte* bytes;
    private readonly int* integers;
    private readonly int middle;
    private readonly int columns;

    /// <summary>Looks at a contiguous matrix of zero points on the CPU.</summary>
    /// <param name="zeroPoint"><c>[N, K / group]</c>: values of the middle code in a floating-point type, or the codes of value 0
    /// in uint8 or int32.</param>
    /// <param name="middle">The middle code.</param>
    public ZeroPointRows(Tensor zeroPoint, int middle)
    {
        this.middle = middle;
        columns = checked((int)zeroPoint.size(1));
        switch (zeroPoint.dtype)
        {
            case ScalarType.Byte:
                bytes = TensorMemory.Address<byte>(zeroPoint);
                break;
            case ScalarType.Int32:
                integers = TensorMemory.Address<int>(zeroPoint);
                break;
            default:
                values = new FloatRows(zeroPoint);
                break;
        }
    }

    /// <summary>Gets whether zero points are codes, not values.</summary>
    public bool AreCodes => bytes != null || integers != null;

    /// <summary>Computes the zero points of a row relative to the middle code: whole numbers, exact in float32.</summary>
    /// <param name="row">The row's index.</param>
    /// <param name="scratch">Receives <c>zero_point - middle</c> for each group.</param>
    /// <returns><paramref name="scratch"/>.</returns>
    public float* CenteredCodes(long row, float* scratch) => CenteredCodes(row, 0, columns, scratch);

    /// <summary>Gets a part of a row as it is kept: codes relative to the middle code, or values.</summary>
    /// <param name="row">The row's index.</param>
    /// <param name="first">The first group.</param>
    /// <param name="count">Groups.</param>
    /// <param name="scratch">Room for as many values.</param>
    public float* Part(long row, int first, int count, float* scratch) =>
        AreCodes ? CenteredCodes(row, first, count, scratch) : values.Part(row, first, count, scratch);

    /// <summary>Gets the values of the middle code of a row: in place where it is float32, computed into the scratch space otherwise.</summary>
    /// <param name="row">The row's index.</param>
    /// <param name="scales">The row's scales, which turn codes into values.</param>
    /// <param name="scratch">Room for a row.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public float* Row(long row, float* scales, float* scratch)
    {
        if (!AreCodes)
        {
            return values.Row(row, scratch);
        }

        for (int g = 0; g < columns; g++)
        {
            scratch[g] = (middle - Code((row * columns) + g)) * scales[g];
        }

        return scratch;
    }

    /// <summary>Gets the values of the middle code of some rows, one behind the other: in place or computed as those of one row.</summary>
    /// <param name="row">The first row's index.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="scales">Their scales.</param>
    /// <param name="scratch">Room for as many values.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public float* Rows(long row, int rows, float* scales, float* scratch)
    {
        if (!AreCodes)
        {
            return values.Rows(row, rows, scratch);
        }

        for (int i = 0; i < rows; i++)
        {
            Row(row + i, scales + (i * (long)columns), scratch + (i * (long)columns));
        }

        return scratch;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private float* CenteredCodes(long row, int first, int count, float* scratch)
    {
        for (int g = 0; g < count; g++)
        {
            scratch[g] = Code((row * columns) + first + g) - middle;
        }

        return scratch;
    }

    private int Code(long index) => bytes != null ? bytes[index] : integers[index];
}
