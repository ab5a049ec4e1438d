using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Kernels.Cpu;
using TorchAO.Kernels.Cpu.Panels;
using TorchAO.Runtime.Memory;

namespace TorchAO.Formats.Int4.Kernels;

/// <summary>An int4 weight as panels of bytes: of each eight codes those of the low halves, then those of the high ones.</summary>
internal readonly unsafe struct Int4Columns : IWeightPanel
{
    private const int QuadsPerUnit = 2; // four bytes hold eight codes

    private readonly byte* codes;
    private readonly FloatRows scaleRows;
    private readonly ZeroPointRows zeroRows;
    private readonly PanelBlocks blocks;

    /// <summary>Looks at a weight; it must outlive the value.</summary>
    public Int4Columns(Int4Tensor weight, PanelBlocks blocks)
    {
        codes = TensorMemory.Address<byte>(weight.QData);
        scaleRows = new FloatRows(weight.Scale);
        HasZeros = weight.ZeroPoint is not null;
        zeroRows = weight.ZeroPoint is { } zeroPoint ? new ZeroPointRows(zeroPoint, Int4Grid.Codes.Middle) : default;
        this.blocks = blocks;
    }

    public static int Offset => Int4Grid.Codes.Middle;

    public static CodeOrder Order => CodeOrder.EvenOdd;

    public bool HasZeros { get; }

    public void Fill(long row, int rows, int block, int blocks, byte* to, float* scales, float* zeros)
    {
        int k = this.blocks.InFeatures;
        int begin = block * this.blocks.Length;
        int length = Math.Min(blocks * this.blocks.Length, k - begin);
        long stride = (k + 1) / 2;
        byte* from = codes + (row * stride) + (begin / 2);
        int units = length / PanelBlocks.Step;
        PanelColumns.Write<LowHalves>(from, stride, rows, units, to, QuadsPerUnit);
        PanelColumns.Write<HighHalves>(from, stride, rows, units, PanelColumns.To(to, 1), QuadsPerUnit);
        int restBytes = ((length % PanelBlocks.Step) + 1) / 2;
        byte* rest = from + (4L * units);
        PanelColumns.WriteRest<LowHalves>(rest, stride, rows, restBytes, PanelColumns.To(to, QuadsPerUnit * units));
        PanelColumns.WriteRest<HighHalves>(rest, stride, rows, restBytes, PanelColumns.To(to, (QuadsPerUnit * units) + 1));
        if (HasZeros)
        {
            FillWithZeros(row, rows, block, blocks, scales, zeros);
        }
        else
        {
            PanelScales.Write(scaleRows, this.blocks, row, rows, block, blocks, scales);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FillWithZeros(long row, int rows, int block, int blocks, float* scales, float* zeros)
    {
        float* scratch = stackalloc float[2 * scaleRows.Columns];
        for (int n = 0; n < rows; n++)
        {
            float* scale = scaleRows.Row(row + n, scratch);
            PanelScales.Write(scale, this.blocks, n, block, blocks, scales);
            PanelScales.Write(zeroRows.Row(row + n, scale, scratch + scaleRows.Columns), this.blocks, n, block, blocks, zeros);
        }
    }

    private readonly struct LowHalves : IByteTransform
    {
        public static uint Apply(uint bytes) => bytes & 0x0F0F0F0F;

        public static Vector512<uint> Apply(Vector512<uint> bytes) => bytes & Vector512.Create(0x0F0F0F0Fu);
    }

    private readonly struct HighHalves : IByteTransform
    {
        public static uint Apply(uint bytes) => (bytes >> 4) & 0x0F0F0F0F;

        public static Vector512<uint> Apply(Vector512<uint> bytes) => (bytes >>> 4) & Vector512.Create(0x0F0F0F0Fu);
    }
}
