using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>The parameters of a quantization grid: codes and parameters together give values.</summary>
/// <param name="Scale">One step of the grid for each block, in floating point.</param>
/// <param name="ZeroPoint">What code (integer domain) or value (floating-point domain) stands for the grid's middle;
/// <see langword="null"/> where the grid is symmetric about zero.</param>
/// <remarks>Owns its tensors. Formats with more parameters derive from this record.</remarks>
public record QParams(Tensor Scale, Tensor? ZeroPoint = null) : IDisposable
{
    /// <summary>Disposes the parameter tensors.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Disposes the parameter tensors; derived records add theirs.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            Scale.Dispose();
            ZeroPoint?.Dispose();
        }
    }
}
