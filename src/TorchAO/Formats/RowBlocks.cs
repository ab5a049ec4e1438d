using TorchAO.Primitives;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>Runs elementwise work on a few rows at a time, so that temporaries stay small however large the weight is.</summary>
/// <remarks>Elementwise work gives the same bits in blocks as in one piece.</remarks>
internal static class RowBlocks
{
    /// <summary>The most elements a block may have: 4 MB of float32, which with its temporaries stays in a core's cache.</summary>
    public const long Elements = 1 << 20;

    // On a GPU a block must be worth the launches of its steps: 64 MB of float32.
    private const long ElementsOnDevice = 1 << 24;

    /// <summary>Computes a matrix block by block.</summary>
    /// <param name="rows">N, rows of the result.</param>
    /// <param name="columns">Elements that a row takes on the way; decides how many rows a block has.</param>
    /// <param name="step">Computes the rows from a first one (first argument) and a count (second argument).</param>
    /// <param name="elements">Elements of a block.</param>
    /// <returns>The result, N rows of what <paramref name="step"/> makes. The caller disposes it.</returns>
    public static Tensor Compute(long rows, long columns, Func<long, long, Tensor> step, long elements = Elements)
    {
        using IDisposable noGradient = no_grad();
        long block = Math.Max(1, elements / Math.Max(1, columns));
        if (rows <= block)
        {
            return step(0, rows);
        }

        Tensor? result = null;
        for (long start = 0; start < rows; start += block)
        {
            long count = Math.Min(block, rows - start);
            using Tensor part = step(start, count);
            result ??= empty([rows, part.size(1)], dtype: part.dtype, device: part.device);
            using Tensor target = result.narrow(0, start, count);
            target.copy_(part);
        }

        return result!;
    }

    /// <summary>Computes a matrix from another, block by block.</summary>
    /// <param name="matrix">The other matrix, <c>[N, …]</c>.</param>
    /// <param name="step">Computes the result's rows from those of the matrix.</param>
    /// <param name="inOnePass">Whether the step makes no temporaries, so that it is given all rows at once.</param>
    /// <returns>The result, N rows. The caller disposes it.</returns>
    public static Tensor Compute(Tensor matrix, Func<Tensor, Tensor> step, bool inOnePass = false) =>
        Compute(matrix.size(0), inOnePass ? 0 : matrix.size(1), (start, count) =>
        {
            using Tensor rows = matrix.narrow(0, start, count);
            return step(rows);
        }, ElementsOf(matrix));

    /// <summary>Computes a matrix from another and its parameters, block by block.</summary>
    /// <param name="matrix">The other matrix, <c>[N, …]</c>.</param>
    /// <param name="qparams">Parameters of its rows, or of all.</param>
    /// <param name="step">Computes the result's rows from those of the matrix and their parameters.</param>
    /// <param name="inOnePass">Whether the step makes no temporaries, so that it is given all rows at once.</param>
    /// <returns>The result, N rows. The caller disposes it.</returns>
    public static Tensor Compute(Tensor matrix, QParams qparams, Func<Tensor, QParams, Tensor> step, bool inOnePass = false) =>
        Compute(matrix.size(0), inOnePass ? 0 : matrix.size(1), (start, count) =>
        {
            using Tensor rows = matrix.narrow(0, start, count);
            using QParams parameters = Narrow(qparams, start, count);
            return step(rows, parameters);
        }, ElementsOf(matrix));

    /// <summary>Cuts rows out of the parameters; what all rows share stays as it is.</summary>
    /// <returns>Views. The caller disposes them.</returns>
    public static QParams Narrow(QParams qparams, long start, long count) =>
        new(Narrow(qparams.Scale, start, count), qparams.ZeroPoint is { } zero ? Narrow(zero, start, count) : null);

    private static long ElementsOf(Tensor matrix) => matrix.device_type == DeviceType.CUDA ? ElementsOnDevice : Elements;

    private static Tensor Narrow(Tensor parameters, long start, long count) =>
        parameters.size(0) == 1 ? parameters.alias() : parameters.narrow(0, start, count);
}
