using System.Runtime.InteropServices;

namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>The operands of a few weight rows times a few activation rows, at the places where emitted code looks for them.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GemvArguments
{
    /// <summary>The first weight row.</summary>
    public byte* Weight;

    /// <summary>Bytes of a weight row.</summary>
    public long WeightStride;

    /// <summary>Bytes from a weight row to the one that is asked for meanwhile.</summary>
    public long WeightAhead;

    /// <summary>The scales of the first weight row, one a group.</summary>
    public float* Scales;

    /// <summary>The distance of rows of scales in bytes.</summary>
    public long ScaleStride;

    /// <summary>Bytes from the scales of some weight rows to those that are asked for meanwhile.</summary>
    public long ScalesAhead;

    /// <summary>The zero points of the first weight row, one a group.</summary>
    public float* Zeros;

    /// <summary>The distance of rows of zero points in bytes.</summary>
    public long ZeroStride;

    /// <summary>Activations <c>[unit][row][plane][vector][64]</c>.</summary>
    public sbyte* X;

    /// <summary>Steps of activations <c>[block][row]</c>; read where there are three planes.</summary>
    public float* XScales;

    /// <summary>What the sums of lanes begin with <c>[block][row][InitialVectors][16]</c>.</summary>
    public int* Initial;

    /// <summary>Sums of activations <c>[row][groups]</c>, rows <see cref="SumStride"/> bytes apart; read where there are zero points.</summary>
    public float* Sums;

    /// <summary>The distance of rows of sums in bytes.</summary>
    public long SumStride;

    /// <summary>Receives <c>[row][weight row]</c>.</summary>
    public float* Y;

    /// <summary>The distance of activation rows in <see cref="Y"/> in bytes.</summary>
    public long YStride;

    /// <summary>Weight rows, at least one.</summary>
    public long WeightRows;

    /// <summary>Whole blocks of a row.</summary>
    public long Blocks;

    /// <summary>Whole units behind them.</summary>
    public long RestUnits;

    /// <summary>A bit for each byte of the unit that is not whole; 0 where there is none.</summary>
    public ulong TailMask;

    /// <summary>A bit for each group of the unit that is not whole.</summary>
    public ulong TailGroups;

    /// <summary>Blocks that share a scale; more than a row has where it has one scale.</summary>
    public long GroupBlocks;

    /// <summary>Whole vectors of 16 groups.</summary>
    public long ZeroVectors;

    /// <summary>A bit for each group behind them.</summary>
    public ulong ZeroMask;
}
