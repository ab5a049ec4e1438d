using System.Numerics.Tensors;

namespace TorchAO.Kernels.Fused;

/// <summary>The gate of a feed-forward network, <c>y = silu(g) · u</c> with <c>silu(g) = g / (1 + e⁻ᵍ)</c> (Shazeer 2020,
/// arXiv:2002.05202).</summary>
/// <remarks>
/// The base class library's sigmoid runs at the width of the processor. A block of its results stays in the first-level cache until it
/// is used.
/// </remarks>
public static class GatedRows
{
    private const int Block = 1024;

    /// <summary>Computes the product.</summary>
    /// <param name="gate">g, of any length.</param>
    /// <param name="up">u, of the same length.</param>
    /// <param name="output">The result; may be either operand.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void Run(ReadOnlySpan<float> gate, ReadOnlySpan<float> up, Span<float> output)
    {
        SpanLengths.Require(up.Length == gate.Length, nameof(up), up.Length, gate.Length);
        SpanLengths.Require(output.Length == gate.Length, nameof(output), output.Length, gate.Length);
        Span<float> shares = stackalloc float[Block];
        for (int at = 0; at < gate.Length; at += Block)
        {
            int count = Math.Min(Block, gate.Length - at);
            ReadOnlySpan<float> g = gate.Slice(at, count);
            Span<float> share = shares[..count];
            TensorPrimitives.Sigmoid(g, share);
            TensorPrimitives.Multiply(share, g, share);
            TensorPrimitives.Multiply(share, up.Slice(at, count), output.Slice(at, count));
        }
    }

    /// <summary>The reference: the definition, in order.</summary>
    internal static void Scalar(ReadOnlySpan<float> gate, ReadOnlySpan<float> up, Span<float> output)
    {
        for (int i = 0; i < gate.Length; i++)
        {
            output[i] = gate[i] / (1 + MathF.Exp(-gate[i])) * up[i];
        }
    }
}
