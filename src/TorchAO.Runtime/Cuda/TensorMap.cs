using System.Runtime.CompilerServices;

namespace TorchAO.Runtime.Cuda;

/// <summary>What the copy engine of compute capability 9.0 and newer needs to know of a matrix to bring boxes of it to shared memory.</summary>
/// <remarks>
/// 128 bytes without meaning here, a field of a kernel's struct (<c>struct alignas(64) TensorMap</c> there, the struct a
/// <c>__grid_constant__</c>). The kernel aligns it to 64 bytes and C# does not: put such fields first, and pad the struct to a multiple of 64.
/// </remarks>
[InlineArray(16)]
public struct TensorMap
{
    private ulong first;

    /// <summary>Describes a row-major matrix. What a box has beyond the matrix arrives as zeros.</summary>
    /// <param name="address">The first element, on the device; a multiple of 16.</param>
    /// <param name="elementBytes">Bytes of an element: 1, 2 or 4. Elements are moved, never read as numbers.</param>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Elements of a row; a row's bytes are a multiple of 16.</param>
    /// <param name="boxRows">Rows of a box, at most 256.</param>
    /// <param name="boxColumns">Elements of a row of a box, at most 256.</param>
    /// <param name="swizzle">The order in shared memory.</param>
    /// <exception cref="ArgumentException">The engine cannot move such a matrix.</exception>
    /// <exception cref="CudaException">There is no driver, or it refuses the description.</exception>
    public static unsafe TensorMap OfMatrix(
        nint address, int elementBytes, long rows, long columns, int boxRows, int boxColumns, TensorMapSwizzle swizzle)
    {
        const int Rank = 2, NoInterleave = 0, L2Promotion128 = 2, ZerosOutside = 0;
        if (elementBytes is not (1 or 2 or 4) || address % 16 != 0 || columns * elementBytes % 16 != 0)
        {
            throw new ArgumentException(
                $"The copy engine moves elements of 1, 2 or 4 bytes at multiples of 16 bytes, got {columns} columns of {elementBytes} bytes " +
                $"from address 0x{address:x}; copy the matrix with cp.async instead.", nameof(address));
        }

        if (CudaDevice.AbsenceReason is { } reason)
        {
            throw new CudaException($"A tensor map was asked for, but {reason}.");
        }

        // The driver's names for unsigned integers of 1, 2 and 4 bytes are 0, 1 and 2.
        int type = elementBytes / 2;
        ulong* sizes = stackalloc ulong[Rank] { (ulong)columns, (ulong)rows };
        ulong strideOfRows = (ulong)(columns * elementBytes);
        uint* box = stackalloc uint[Rank] { (uint)boxColumns, (uint)boxRows };
        uint* steps = stackalloc uint[Rank] { 1, 1 };
        byte* room = stackalloc byte[sizeof(TensorMap) + 63];
        var map = (TensorMap*)(((nint)room + 63) & ~63);
        int code = CudaDriver.cuTensorMapEncodeTiled(
            map, type, Rank, (void*)address, sizes, &strideOfRows, box, steps, NoInterleave, (int)swizzle, L2Promotion128, ZerosOutside);
        return code == 0 ? *map : throw CudaException.OfDriver(
            code, nameof(CudaDriver.cuTensorMapEncodeTiled), null,
            $"The matrix is [{rows}, {columns}] of {elementBytes} bytes, its boxes [{boxRows}, {boxColumns}], swizzled {swizzle}.");
    }
}
