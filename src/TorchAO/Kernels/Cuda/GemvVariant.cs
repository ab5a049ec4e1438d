using System.Collections.Concurrent;
using TorchAO.Runtime.Cuda;

namespace TorchAO.Kernels.Cuda;

/// <summary>What <c>gemv.cu</c> is compiled for, and how its shared memory is laid out then.</summary>
/// <param name="Activation">Type of activations.</param>
/// <param name="Code">Codes of the weight.</param>
/// <param name="Scale">Type of its scales.</param>
/// <param name="GroupSize">Features that share a scale; 0 where a row has one.</param>
/// <param name="ZeroPoint">What zero points are.</param>
/// <param name="Rounding">How activations are rounded.</param>
/// <param name="IsSingle">Whether there is one activation row.</param>
/// <param name="Blocking">How work is cut.</param>
/// <param name="Piece">Bytes of an aligned piece of a chunk's row of scales; 0 where scales are not copied ahead.</param>
internal readonly record struct GemvVariant(
    CudaNumber Activation,
    CudaCode Code,
    CudaNumber Scale,
    int GroupSize,
    CudaZeroPoint ZeroPoint,
    GemvRounding Rounding,
    bool IsSingle,
    GemvBlocking Blocking,
    int Piece)
{
    private static readonly ConcurrentDictionary<GemvVariant, CudaKernel> Kernels = new();

    /// <summary>Gets the weight rows of a tile.</summary>
    public int RowsOfTile => 16 * Blocking.Tiles;

    /// <summary>Gets the threads of a block.</summary>
    public int Threads => 32 * Blocking.Warps;

    private int Bits => BitsOf(Code);

    private int ChunkFeatures => Blocking.RowBytes * 8 / Bits;

    /// <summary>Gets the bytes of zeros that a block keeps, where columns of a tensor core product are runs of one activation row.</summary>
    public int ZeroBytes => IsSingle && GroupSize != 0 ? Math.Min(8, ChunkFeatures / 32) * 64 : 0;

    /// <summary>Gets the bytes of scales that are copied ahead for a row and a chunk.</summary>
    public int ScaleRowBytes => Piece == 0 ? 0 : ChunkFeatures / GroupSize * (Scale == CudaNumber.Float32 ? 4 : 2);

    // Bytes that a lane reads of a row at once; rows of other lengths are padded in shared memory so that they meet no other's banks.
    private int LaneBytes => IsSingle || GroupSize == 0 || GroupSize >= 512 / Bits ? 16 : Bits;

    /// <summary>Gets the bits of a code.</summary>
    public static int BitsOf(CudaCode code) => code switch
    {
        CudaCode.Half => 16,
        CudaCode.Int4 => 4,
        _ => 8,
    };

    /// <summary>Finds the largest aligned piece in which a chunk's scales of a row can be copied; 0 where there is none.</summary>
    public static int PieceOf(
        CudaCode code, CudaNumber scale, int groupSize, CudaZeroPoint zeroPoint, int inFeatures, int rowBytes)
    {
        int chunkFeatures = rowBytes * 8 / BitsOf(code), scaleBytes = scale == CudaNumber.Float32 ? 4 : 2;
        if (groupSize == 0 || groupSize > chunkFeatures || zeroPoint is CudaZeroPoint.Byte or CudaZeroPoint.Int32)
        {
            return 0;
        }

        int ofChunk = chunkFeatures / groupSize * scaleBytes, ofRow = inFeatures / groupSize * scaleBytes;
        return ofChunk % 16 == 0 && ofRow % 16 == 0 ? 16 : ofChunk % 8 == 0 && ofRow % 8 == 0 ? 8 : ofChunk % 4 == 0 && ofRow % 4 == 0 ? 4 : 0;
    }

    /// <summary>Gets the numbers from one activation row to the next in shared memory.</summary>
    public int InputPitch(int inFeatures) => (Chunks(inFeatures) * ChunkFeatures) + (IsSingle ? 0 : 32);

    /// <summary>Gets the bytes of shared memory of a block.</summary>
    public int SharedBytes(int inFeatures, int rows)
    {
        int pitch = Blocking.RowBytes + (LaneBytes == 16 ? 0 : LaneBytes == 8 ? 32 : 16);
        int stage = RowsOfTile * (pitch + (ScaleRowBytes * (ZeroPoint == CudaZeroPoint.Value ? 2 : 1)));
        int stages = Blocking.Warps * Blocking.Stages * stage;
        int partials = 2 * Blocking.Warps * RowsOfTile * (IsSingle ? 1 : 8) * sizeof(float);
        return stages + partials + RoomBytes(inFeatures, rows);
    }

    /// <summary>Gets the bytes of what the warps of a block share about activations.</summary>
    public int RoomBytes(int inFeatures, int rows)
    {
        int runs = Chunks(inFeatures) * (ChunkFeatures / 32);
        return ZeroBytes + (rows * InputPitch(inFeatures) * 2) + (rows * runs * sizeof(float)) + ((Rounding == GemvRounding.None ? 2 : 5) * rows * Blocking.Warps * sizeof(float));
    }

    /// <summary>Gets the kernel; compiled at its first launch.</summary>
    public CudaKernel Kernel() => Kernels.GetOrAdd(this, static variant => DeviceKernels.Kernel("gemv.cu", "gemv", variant.Options()));

    private int Chunks(int inFeatures) => (inFeatures + ChunkFeatures - 1) / ChunkFeatures;

    /// <summary>Gets the options of the compiler.</summary>
    public string[] Options() =>
    [
        $"-DACT={(int)Activation}", $"-DCODE={(int)Code}", $"-DSCALE={(int)Scale}", $"-DGROUP={GroupSize}",
        $"-DZERO={(int)ZeroPoint}", $"-DROUND={(int)Rounding}", $"-DSINGLE={(IsSingle ? 1 : 0)}", $"-DWARPS={Blocking.Warps}", $"-DSTAGES={Blocking.Stages}", $"-DTILES={Blocking.Tiles}",
        $"-DROW={Blocking.RowBytes}", $"-DPIECE={Piece}",
    ];
}
