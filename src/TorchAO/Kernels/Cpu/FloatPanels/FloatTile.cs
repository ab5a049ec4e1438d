using System.Runtime.InteropServices;

namespace TorchAO.Kernels.Cpu.FloatPanels;

/// <summary>The operands of the innermost product: <c>C[m, n] += Σ_k x[k, m] · panel[k, n]</c>, one fused multiply-add after the other.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct FloatTile
{
    /// <summary>Weight rows of a panel: two vectors.</summary>
    public const int Columns = 32;

    /// <summary>Activation rows at most: their sums fill 28 of 32 registers.</summary>
    public const int MaxRows = 14;

    /// <summary>Activations <c>[k][rows]</c>.</summary>
    public float* X;

    /// <summary>Weights <c>[k][Columns]</c>.</summary>
    public float* Panel;

    /// <summary>The result <c>[rows][Columns]</c>, added to.</summary>
    public float* C;

    /// <summary>Input features, at least one.</summary>
    public long Count;
}
