using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Kernels.Cpu;
using TorchAO.Primitives.Kernels;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.Nf4.Kernels;

/// <summary>The scales of NF4 rows, decoded as they are needed: <c>q / f + m</c>, each step rounded to the type of the weight.</summary>
/// <typeparam name="TLanes">The type of factors and mean.</typeparam>
/// <remarks>The same bits as <see cref="Nf4Tensor.DequantizeScale"/>. Holds addresses: the tensors must outlive it.</remarks>
internal readonly unsafe struct Nf4ScaleRows<TLanes> : IScaleRows
    where TLanes : struct, IFloatLanes
{
    private const int Lanes = 16;

    private readonly sbyte* codes;
    private readonly sbyte* end;
    private readonly float* factors;
    private readonly float mean;
    private readonly int blocks;
    private readonly int units;

    /// <summary>Looks at the scales of a weight.</summary>
    /// <param name="scale">Codes of the scales, int8 <c>[N, blocks]</c>.</param>
    /// <param name="factor">Factors <c>[N, units]</c>, widened to float32.</param>
    /// <param name="mean">The mean.</param>
    public Nf4ScaleRows(Tensor scale, Tensor factor, float mean)
    {
        codes = TensorMemory.Address<sbyte>(scale);
        end = codes + scale.numel();
        factors = TensorMemory.Address<float>(factor);
        this.mean = mean;
        blocks = checked((int)scale.size(1));
        units = checked((int)factor.size(1));
    }

    public int Scratch => blocks + Lanes;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public float* Row(long row, float* scratch)
    {
        int unit = blocks / units;
        sbyte* from = codes + (row * blocks);
        float* to = scratch;
        var means = Vector512.Create(mean);
        for (float* factor = factors + (row * units), last = factor + units; factor < last; factor++, from += unit, to += unit)
        {
            // Whole vectors: what is written beyond a unit, the next one writes again, and the last one has room for.
            var divisor = Vector512.Create(*factor);
            for (int i = 0; i < unit; i += Lanes)
            {
                Vector512<float> quotient = TLanes.Round(Vector512.ConvertToSingle(Widen(from + i)) / divisor);
                TLanes.Round(quotient + means).Store(to + i);
            }
        }

        return scratch;
    }

    // Sixteen codes, fewer where the weight ends.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector512<int> Widen(sbyte* from)
    {
        Vector128<sbyte> bytes = default;
        if (from + Lanes <= end)
        {
            bytes = Vector128.Load(from);
        }
        else
        {
            Unsafe.CopyBlockUnaligned(&bytes, from, (uint)(end - from));
        }

        (Vector128<short> low, Vector128<short> high) = Vector128.Widen(bytes);
        return Vector512.Create(Vector256.Create(Vector128.WidenLower(low), Vector128.WidenUpper(low)),
            Vector256.Create(Vector128.WidenLower(high), Vector128.WidenUpper(high)));
    }
}
