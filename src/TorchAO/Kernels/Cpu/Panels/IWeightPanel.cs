namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>Rows of a weight as columns of a panel: all that differs between the products of formats whose codes are bytes or less.</summary>
/// <remarks>Every worker has its own copy; it holds addresses, and the tensors must outlive it.</remarks>
internal unsafe interface IWeightPanel
{
    /// <summary>Gets what the panel's unsigned codes are larger by than the codes that scales multiply.</summary>
    static abstract int Offset { get; }

    /// <summary>Gets the order of codes in the panel.</summary>
    static abstract CodeOrder Order { get; }

    /// <summary>Gets whether groups have zero points, which multiply the sums of activations.</summary>
    bool HasZeros { get; }

    /// <summary>Writes some blocks of up to <see cref="PanelTile.Columns"/> rows.</summary>
    /// <param name="row">The first row.</param>
    /// <param name="rows">Rows, at least one; what is written into the columns beyond them is never used.</param>
    /// <param name="block">The first block.</param>
    /// <param name="blocks">Blocks.</param>
    /// <param name="to">Receives for each four codes <c>[Columns][4]</c> unsigned bytes, in the order <see cref="Order"/>.</param>
    /// <param name="scales">Receives <c>[blocks][Columns]</c> scales.</param>
    /// <param name="zeros">Receives <c>[blocks][Columns]</c> zero points where there are.</param>
    void Fill(long row, int rows, int block, int blocks, byte* to, float* scales, float* zeros);
}
