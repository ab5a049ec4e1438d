using System.Runtime.Intrinsics;
using TorchAO.Kernels.Cpu;
using TorchAO.Kernels.Cpu.Panels;
using TorchAO.Runtime.Memory;

namespace TorchAO.Formats.Int8.Kernels;

/// <summary>An int8 weight as panels: 128 is added to codes, because the processor multiplies unsigned by signed bytes.</summary>
internal readonly unsafe struct Int8Columns : IWeightPanel
{
    private readonly sbyte* codes;
    private readonly FloatRows scaleRows;
    private readonly PanelBlocks blocks;

    /// <summary>Looks at a weight; it must outlive the value.</summary>
    public Int8Columns(Int8Tensor weight, PanelBlocks blocks)
    {
        codes = TensorMemory.Address<sbyte>(weight.QData);
        scaleRows = new FloatRows(weight.Scale);
        this.blocks = blocks;
    }

    public static int Offset => 128;

    public static CodeOrder Order => CodeOrder.Natural;

    public bool HasZeros => false;

    public void Fill(long row, int rows, int block, int blocks, byte* to, float* scales, float* zeros)
    {
        int k = this.blocks.InFeatures;
        int begin = block * this.blocks.Length;
        int length = Math.Min(blocks * this.blocks.Length, k - begin);
        byte* from = (byte*)codes + (row * k) + begin;
        PanelColumns.Write<Unsigned>(from, k, rows, length / 4, to, step: 1);
        PanelColumns.WriteRest<Unsigned>(from + (length / 4 * 4), k, rows, length % 4, PanelColumns.To(to, length / 4));
        PanelScales.Write(scaleRows, this.blocks, row, rows, block, blocks, scales);
    }

    private readonly struct Unsigned : IByteTransform
    {
        public static uint Apply(uint bytes) => bytes ^ 0x80808080;

        public static Vector512<uint> Apply(Vector512<uint> bytes) => bytes ^ Vector512.Create(0x80808080u);
    }
}
