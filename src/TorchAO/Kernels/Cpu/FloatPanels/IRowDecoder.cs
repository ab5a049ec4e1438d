namespace TorchAO.Kernels.Cpu.FloatPanels;

/// <summary>The values of a weight, a piece of a row at a time: all that differs between formats in products of many rows.</summary>
/// <remarks>Every worker has its own copy; it holds addresses, and the tensors must outlive it.</remarks>
internal unsafe interface IRowDecoder
{
    /// <summary>Computes values, scales included.</summary>
    /// <param name="row">The row.</param>
    /// <param name="begin">The first input feature, a multiple of <see cref="FloatPanelProduct.PieceLength"/>.</param>
    /// <param name="count">Input features.</param>
    /// <param name="to">Receives <paramref name="count"/> values.</param>
    void Decode(long row, int begin, int count, float* to);
}
