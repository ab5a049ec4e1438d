using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Quantizes blocks to the entries of a codebook that is fitted to the weight: <c>x ≈ codebook[q] · s</c>.</summary>
/// <remarks>
/// Vector quantization as in AQLM (Egiazarian et al. 2024, arXiv:2401.06118) with one codebook; torchao's
/// <c>choose_qparams_codebook</c> and its companions. One difference: for single numbers torchao scales by the signed maximum, which
/// for a block of negative numbers is next to nothing; where it is below a quarter of the largest magnitude, that is taken instead.
/// </remarks>
public static class CodebookQuantization
{
    private const double SmallestScale = 1e-9;
    private const double SmallestShare = 0.25; // of the largest magnitude, for a signed maximum to be a scale

    /// <summary>Chooses scales: the signed maximum for blocks of one number, the length of the vector otherwise.</summary>
    /// <param name="input">Values <c>[N, K]</c>.</param>
    /// <param name="isScalar">Whether the codebook's entries are single numbers.</param>
    /// <param name="scaleBlockSize">Consecutive input features that share a scale; divides K.</param>
    /// <returns>Scales <c>[N, K / block]</c>, float32, at least 10⁻⁹. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The input is no matrix, or scale blocks do not divide its rows.</exception>
    public static Tensor ChooseScale(Tensor input, bool isScalar, long scaleBlockSize)
    {
        ArgumentNullException.ThrowIfNull(input);
        RequireMatrix(input, nameof(input), "[N, K]");
        RequireDivides(scaleBlockSize, input.size(1), "scale blocks", "input features");
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor blocks = input.to_type(ScalarType.Float32).contiguous().reshape(input.size(0), -1, scaleBlockSize);
        Tensor scale = isScalar ? SignedMaximum(blocks) : blocks.square().sum(dim: 2).sqrt();
        return scale.clamp(min: SmallestScale).MoveToOuterDisposeScope();
    }

    /// <summary>Cuts a matrix into the vectors that codes stand for, divided by their scales.</summary>
    /// <param name="input">Values <c>[N, K]</c>.</param>
    /// <param name="scale">Scales <c>[N, K / scale block]</c>.</param>
    /// <param name="rows">Rows of a block; divides N.</param>
    /// <param name="columns">Columns of a block; divides K.</param>
    /// <returns>Vectors <c>[N / rows · K / columns, rows · columns]</c>, float32. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">Blocks or scales do not divide the matrix.</exception>
    public static Tensor Vectors(Tensor input, Tensor scale, long rows, long columns)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(scale);
        RequireMatrix(input, nameof(input), "[N, K]");
        RequireDivides(rows, input.size(0), "blocks", "rows");
        RequireDivides(columns, input.size(1), "blocks", "input features");
        RequireScales(scale, input.size(0), input.size(1));
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        (long n, long k) = (input.size(0), input.size(1));
        Tensor scaled = input.to_type(ScalarType.Float32).reshape(n, scale.size(1), -1) / scale.unsqueeze(2);
        Tensor blocks = scaled.reshape(n / rows, rows, k / columns, columns).permute(0, 2, 1, 3);
        return blocks.reshape(-1, rows * columns).contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>Finds the nearest entry of each vector.</summary>
    /// <param name="vectors">Vectors <c>[count, D]</c>, float32.</param>
    /// <param name="codebook">Entries <c>[entries, D]</c>, float32.</param>
    /// <returns>Indices <c>[count]</c>, uint8; at a tie that of either entry. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">
    /// Vectors and entries have different lengths, or there are no entries, or more than a byte can number.
    /// </exception>
    public static Tensor Nearest(Tensor vectors, Tensor codebook)
    {
        ArgumentNullException.ThrowIfNull(vectors);
        ArgumentNullException.ThrowIfNull(codebook);
        RequireMatrix(vectors, nameof(vectors), "[count, D]");
        RequireMatrix(codebook, nameof(codebook), "[entries, D]");
        if (vectors.size(1) != codebook.size(1) || codebook.size(0) == 0)
        {
            throw new QuantizationException(
                $"codebook: vectors [{string.Join(", ", vectors.shape)}] were compared with entries [{string.Join(", ", codebook.shape)}], " +
                "expected at least one entry, as long as the vectors; cut the weight into blocks of the codebook's.");
        }

        if (codebook.size(0) > 256)
        {
            throw new QuantizationException(
                $"the codebook has {codebook.size(0)} entries, expected at most 256, so that a byte holds a code; take fewer bits.");
        }

        using IDisposable noGrad = no_grad();
        using Tensor wide = KMeans.Nearest(vectors, codebook);
        return wide.to_type(ScalarType.Byte);
    }

    /// <summary>Looks codes up and multiplies by the scales.</summary>
    /// <param name="codes">Codes <c>[N / rows, K / columns]</c>, uint8.</param>
    /// <param name="codebook">Entries <c>[entries, rows · columns]</c>.</param>
    /// <param name="scale">Scales <c>[N, K / scale block]</c>.</param>
    /// <param name="rows">Rows of a block.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns>Values <c>[N, K]</c>. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">Entries are not of whole rows, or scales do not fit the codes.</exception>
    public static Tensor Dequantize(
        Tensor codes, Tensor codebook, Tensor scale, long rows = 1, ScalarType dtype = ScalarType.Float32)
    {
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentNullException.ThrowIfNull(codebook);
        ArgumentNullException.ThrowIfNull(scale);
        RequireMatrix(codes, nameof(codes), "[N / rows, K / columns]");
        RequireMatrix(codebook, nameof(codebook), "[entries, rows · columns]");
        RequireDivides(rows, codebook.size(1), "rows of a block", "numbers of an entry");
        long columns = codebook.size(1) / rows;
        (long n, long k) = (codes.size(0) * rows, codes.size(1) * columns);
        RequireScales(scale, n, k);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor entries = codebook.index_select(0, codes.flatten().to_type(ScalarType.Int32));
        Tensor values = entries.reshape(n / rows, k / columns, rows, columns).permute(0, 2, 1, 3).reshape(n, scale.size(1), -1);
        return (values * scale.unsqueeze(2)).reshape(n, k).to_type(dtype).MoveToOuterDisposeScope();
    }

    private static Tensor SignedMaximum(Tensor blocks)
    {
        Tensor greatest = blocks.amax([2]);
        Tensor magnitude = blocks.abs().amax([2]);
        return where(greatest < magnitude * SmallestShare, magnitude, greatest);
    }

    private static void RequireMatrix(Tensor tensor, string name, string expected)
    {
        if (tensor.dim() != 2)
        {
            throw new QuantizationException($"codebook: {name} is [{string.Join(", ", tensor.shape)}], expected {expected}; reshape it.");
        }
    }

    private static void RequireDivides(long size, long of, string what, string where)
    {
        if (size < 1 || of % size != 0)
        {
            throw new QuantizationException(
                $"codebook: {what} of {size} do not divide {of} {where}, expected a positive divisor; take another size or pad the weight.");
        }
    }

    private static void RequireScales(Tensor scale, long n, long k)
    {
        if (scale.dim() != 2 || scale.size(0) != n || scale.size(1) < 1 || k % scale.size(1) != 0)
        {
            throw new QuantizationException(
                $"codebook: scale is [{string.Join(", ", scale.shape)}], expected [{n}, a divisor of {k}]; take it from ChooseScale.");
        }
    }
}
