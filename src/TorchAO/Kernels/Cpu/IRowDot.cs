namespace TorchAO.Kernels.Cpu;

/// <summary>One row of a weight times a few rows of activations: all that differs between the row-wise kernels of formats.</summary>
/// <remarks>Every worker has its own copy; scratch space belongs on the stack.</remarks>
internal unsafe interface IRowDot
{
    /// <summary>Computes the products of a weight row.</summary>
    /// <param name="row">The row's index.</param>
    /// <param name="x">The first of the activation rows.</param>
    /// <param name="stride">The distance of activation rows in elements.</param>
    /// <param name="m">The count of activation rows, at most <see cref="RowProduct.MaxRows"/>.</param>
    /// <param name="y">Receives m sums.</param>
    void Dot(long row, float* x, long stride, int m, float* y);
}
