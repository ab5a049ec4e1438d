using System.Runtime.InteropServices;

namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>The operands of the innermost product: a few activation rows times <see cref="Columns"/> weight rows over some blocks.</summary>
/// <remarks>
/// <c>C[m, n] += Σ_b zero[b, n] · sum[b, m] + (initial[b, m] + Σ_k code[b, k, n] · x[b, k, m]) · xscale[b, m] · scale[b, n]</c>,
/// unsigned bytes times signed bytes in 32-bit integers, then the product by <c>xscale</c> and one fused multiply-add by
/// <c>scale</c>, in this order, block by block. All paths agree bit for bit. Where an activation row has one scale for all blocks, it
/// is left to whoever stores the result.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PanelTile
{
    /// <summary>Weight rows of a panel: two vectors of 32-bit sums.</summary>
    public const int Columns = 32;

    /// <summary>Activation rows of a tile at most: sums of a block and results of all blocks fill 28 of 32 registers.</summary>
    public const int MaxRows = 7;

    /// <summary>Activation codes <c>[quad][rows][4]</c>.</summary>
    public sbyte* X;

    /// <summary>Weight codes <c>[quad][Columns][4]</c>.</summary>
    public byte* Panel;

    /// <summary>Scales of the weight <c>[block][Columns]</c>.</summary>
    public float* Scales;

    /// <summary>Scales of the activations <c>[block][rows]</c>, or null where they are applied later.</summary>
    public float* XScales;

    /// <summary>What sums begin with <c>[block][rows]</c>.</summary>
    public int* Initial;

    /// <summary>Sums of the activations <c>[block][rows]</c>; read where there are zero points.</summary>
    public float* Sums;

    /// <summary>Zero points of the weight <c>[block][Columns]</c>, or null.</summary>
    public float* Zeros;

    /// <summary>The result <c>[rows][Columns]</c>, added to.</summary>
    public float* C;

    /// <summary>Blocks, at least one.</summary>
    public long Blocks;

    /// <summary>Quads of each block, even.</summary>
    public long Quads;
}
