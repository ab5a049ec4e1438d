using System.Runtime.InteropServices;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using TorchAO.Runtime.Tests.Cuda.Kernels;
using TorchAO.Tests;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Cuda;

/// <summary>Boxes of matrices by the copy engine.</summary>
public sealed class TensorMapTests
{
    private const int Rows = 100, Columns = 96, BoxRows = 16;

    private static readonly CudaKernel CopyBox = new(
        CudaSource.FromResource(typeof(LaunchKernels).Assembly, "Cuda/Kernels/boxes.cu"), "copy_box");

    [CudaTheory]
    [InlineData(0, 0)]
    [InlineData(3, 32)]
    [InlineData(92, 64)] // beyond the last row and column there are zeros
    [InlineData(-5, 0)]
    public void A_box_arrives_with_zeros_beyond_the_matrix(int row, int column)
    {
        const int BoxColumns = 64;
        using DisposeScope scope = NewDisposeScope();
        Tensor matrix = randint(-100, 100, new long[] { Rows, Columns }, ScalarType.Int16, device: CUDA);
        Tensor padded = zeros(300, 300, dtype: ScalarType.Int16, device: CUDA);
        padded.narrow(0, 100, Rows).narrow(1, 100, Columns).copy_(matrix);

        Tensor box = Copy(matrix, 2, row, column, BoxColumns, TensorMapSwizzle.None);

        Assert.True(padded.narrow(0, 100 + row, BoxRows).narrow(1, 100 + column, BoxColumns).equal(box).all().item<bool>());
    }

    [CudaFact]
    public void A_swizzled_box_has_the_piece_p_of_row_r_at_p_xor_r()
    {
        const int BoxColumns = 128;
        using DisposeScope scope = NewDisposeScope();
        Tensor matrix = randint(0, 255, new long[] { Rows, BoxColumns }, ScalarType.Byte, device: CUDA);

        Tensor box = Copy(matrix, 1, 8, 0, BoxColumns, TensorMapSwizzle.Bytes128).view(BoxRows, 8, 16);

        for (int r = 0; r < BoxRows; r++)
        {
            for (int p = 0; p < 8; p++)
            {
                Tensor piece = matrix[8 + r].narrow(0, 16 * p, 16);
                Assert.True(piece.equal(box[r][p ^ (r % 8)]).all().item<bool>(), $"row {r}, piece {p}");
            }
        }
    }

    [Fact]
    public void A_matrix_that_the_engine_cannot_move_is_refused()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => TensorMap.OfMatrix(64, 2, 10, 12, 8, 8, TensorMapSwizzle.None));
        Assert.Contains("got 12 columns of 2 bytes from address 0x40; copy the matrix with cp.async instead", error.Message, StringComparison.Ordinal);
    }

    private static Tensor Copy(Tensor matrix, int elementBytes, int row, int column, int boxColumns, TensorMapSwizzle swizzle)
    {
        CudaStream stream = CudaStream.Current(CudaDevice.Of(matrix));
        Assert.SkipUnless(stream.Device.ComputeCapability.Major >= 9, "the copy engine of matrices needs compute capability 9.0");
        TensorMap map = TensorMap.OfMatrix(
            TensorMemory.DeviceAddress(matrix), elementBytes, matrix.shape[0], matrix.shape[1], BoxRows, boxColumns, swizzle);
        Tensor box = full([BoxRows, boxColumns], 77, dtype: matrix.dtype, device: CUDA);
        int bytes = BoxRows * boxColumns * elementBytes;
        CopyBox.Launch(stream, new BoxArguments { Map = map, Y = TensorMemory.DeviceAddress(box), Row = row, Column = column, Bytes = bytes }, 1, 64, bytes);
        return box;
    }

    // 64 bytes after the map, so that the size is a multiple of the map's alignment.
    [StructLayout(LayoutKind.Sequential, Size = 192)]
    private struct BoxArguments
    {
        public TensorMap Map;
        public nint Y;
        public int Row;
        public int Column;
        public int Bytes;
    }
}
