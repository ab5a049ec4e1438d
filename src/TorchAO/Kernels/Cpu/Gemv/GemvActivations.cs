using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>A few activation rows as bytes in the order in which <see cref="GemvArguments"/> names them. Owns native memory.</summary>
internal sealed unsafe class GemvActivations : IDisposable
{
    private const nuint Alignment = 64;

    // Of the first-level cache, whose rest is for the weight.
    private const int CachedBytes = 32 << 10;

    private readonly GemvShape shape;
    private readonly int length;
    private readonly int groupSize;
    private readonly int offset;
    private readonly int units;
    private readonly int blocks;
    private readonly int sumStride;
    private byte* memory;
    private sbyte* x;
    private float* steps;
    private int* initial;
    private float* sums;

    private GemvActivations(GemvShape shape, int length, int groupSize, int offset)
    {
        this.shape = shape;
        this.length = length;
        this.groupSize = groupSize;
        this.offset = offset;
        units = (length + shape.UnitCodes - 1) / shape.UnitCodes;
        blocks = (units + shape.BlockUnits - 1) / shape.BlockUnits;
        sumStride = (((length / groupSize) + GemvShape.Lanes - 1) / GemvShape.Lanes) * GemvShape.Lanes;
        long initialBytes = (long)blocks * shape.Rows * shape.InitialVectors * GemvShape.UnitBytes;
        long codeBytes = (long)units * shape.UnitActivations;
        long sumBytes = shape.HasZeros ? (long)shape.Rows * sumStride * sizeof(float) : 0;
        memory = (byte*)NativeMemory.AlignedAlloc(
            (nuint)(codeBytes + initialBytes + sumBytes + ((long)blocks * shape.Rows * sizeof(float))), Alignment);
        x = (sbyte*)memory;
        initial = (int*)(memory + codeBytes);
        sums = shape.HasZeros ? (float*)(memory + codeBytes + initialBytes) : null;
        steps = (float*)(memory + codeBytes + initialBytes + sumBytes);
    }

    /// <summary>Gets the activation rows.</summary>
    public int Rows => shape.Rows;

    /// <summary>Rounds activations to the fixed point of their block.</summary>
    /// <param name="shape">The function that they are for, of three planes.</param>
    /// <param name="from">Activations, <see cref="GemvShape.Rows"/> rows of <paramref name="length"/>.</param>
    /// <param name="length">K.</param>
    /// <param name="groupSize">Codes of a group.</param>
    /// <param name="offset">What the weight's codes are larger by.</param>
    /// <returns><see langword="null"/> where one is infinite or no number. The caller disposes it.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static GemvActivations? Exact(GemvShape shape, float* from, int length, int groupSize, int offset)
    {
        var activations = new GemvActivations(shape, length, groupSize, offset);
        int blockCodes = shape.BlockCodes;
        sbyte* digits = stackalloc sbyte[FixedPoint.Planes * blockCodes];
        int* digitSums = stackalloc int[FixedPoint.Planes];
        for (int m = 0; m < shape.Rows; m++, from += length)
        {
            for (int block = 0; block < activations.blocks; block++)
            {
                int begin = block * blockCodes;
                float step = FixedPoint.Split(from + begin, Math.Min(blockCodes, length - begin), digits, blockCodes, digitSums);
                if (float.IsNaN(step))
                {
                    activations.Dispose();
                    return null;
                }

                activations.steps[(block * shape.Rows) + m] = step;
                activations.WriteBlock(m, block, digits, blockCodes);
            }

            for (int g = 0; shape.HasZeros && g < activations.sumStride; g++)
            {
                activations.sums[(m * activations.sumStride) + g] = g < length / groupSize
                    ? TensorPrimitives.Sum(new ReadOnlySpan<float>(from + ((long)g * groupSize), groupSize))
                    : 0;
            }
        }

        return activations;
    }

    /// <summary>Takes codes that were chosen before.</summary>
    /// <param name="shape">The function that they are for, of one plane.</param>
    /// <param name="from">Codes, <see cref="GemvShape.Rows"/> rows of <paramref name="length"/>.</param>
    /// <param name="length">K.</param>
    /// <param name="groupSize">Codes of a group.</param>
    /// <param name="offset">What the weight's codes are larger by.</param>
    /// <returns>The caller disposes it.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static GemvActivations FromCodes(GemvShape shape, sbyte* from, int length, int groupSize, int offset)
    {
        var activations = new GemvActivations(shape, length, groupSize, offset);
        int blockCodes = shape.BlockCodes;
        sbyte* padded = stackalloc sbyte[blockCodes];
        for (int m = 0; m < shape.Rows; m++, from += length)
        {
            for (int block = 0; block < activations.blocks; block++)
            {
                int begin = block * blockCodes, count = Math.Min(blockCodes, length - begin);
                new ReadOnlySpan<sbyte>(from + begin, count).CopyTo(new Span<sbyte>(padded, count));
                new Span<sbyte>(padded + count, blockCodes - count).Clear();
                activations.WriteBlock(m, block, padded, blockCodes);
            }

            for (int g = 0; shape.HasZeros && g < activations.sumStride; g++)
            {
                int sum = 0;
                for (int k = g * groupSize; k < (g + 1) * groupSize && g < length / groupSize; k++)
                {
                    sum += from[k];
                }

                activations.sums[(m * activations.sumStride) + g] = sum;
            }
        }

        return activations;
    }

    /// <summary>Gets the blocks that a piece of the rows has: as many as stay in the first-level cache while weight rows pass by. One row
    /// is one piece: what pieces cost, the weight rows that pass by together there have saved already.</summary>
    public int PieceBlocks
    {
        get
        {
            if (shape.Rows == 1)
            {
                return Math.Max(1, WholeBlocks);
            }

            long fitting = Math.Max(1, CachedBytes / (shape.UnitActivations * (long)shape.BlockUnits));
            return (int)Math.Max(BlocksOfGroup, fitting / BlocksOfGroup * BlocksOfGroup);
        }
    }

    /// <summary>Gets the whole blocks of a row.</summary>
    public int WholeBlocks => length / shape.BlockCodes;

    // A piece holds whole groups, where a row has several.
    private int BlocksOfGroup => groupSize == length ? 1 : Math.Max(1, groupSize / shape.BlockCodes);

    /// <summary>Puts addresses and counts of whole rows into the operands of a product.</summary>
    public void Point(GemvArguments* operands) => Point(operands, 0, WholeBlocks);

    /// <summary>Puts addresses and counts of a piece of the rows into the operands of a product, which name whole rows of the weight.</summary>
    /// <param name="operands">The operands.</param>
    /// <param name="block">The first block, at which a group begins.</param>
    /// <param name="count">Whole blocks; what is behind the last one goes with it, and so do the zero points.</param>
    public void Point(GemvArguments* operands, int block, int count)
    {
        int groups = length / groupSize;
        bool isLast = block + count == WholeBlocks;
        int tail = isLast ? length % shape.UnitCodes : 0;
        operands->Weight += (long)block * shape.BlockUnits * GemvShape.UnitBytes;
        operands->Scales += groupSize == length ? 0 : shape.GroupsPerUnit > 1 ? block * shape.GroupsPerUnit : block / BlocksOfGroup;
        operands->X = x + ((long)block * shape.BlockUnits * shape.UnitActivations);
        operands->XScales = steps + ((long)block * shape.Rows);
        operands->Initial = initial + ((long)block * shape.Rows * shape.InitialVectors * GemvShape.Lanes);
        operands->Sums = sums;
        operands->SumStride = sumStride * sizeof(float);
        operands->Blocks = count;
        operands->RestUnits = isLast ? length % shape.BlockCodes / shape.UnitCodes : 0;
        operands->TailMask = Mask((tail + shape.Vectors - 1) / shape.Vectors);
        operands->TailGroups = Mask(tail / Math.Min(groupSize, shape.UnitCodes));
        operands->GroupBlocks = groups == 1 ? long.MaxValue : BlocksOfGroup;
        operands->ZeroVectors = groups / GemvShape.Lanes;
        operands->ZeroMask = Mask(groups % GemvShape.Lanes);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(memory);
        memory = null;
        x = null;
        steps = null;
        initial = null;
        sums = null;
    }

    private static ulong Mask(int count) => count == 0 ? 0 : ulong.MaxValue >> (64 - count);

    // Planes of a block's codes, stride apart, to their places, and the sums of lanes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void WriteBlock(int m, int block, sbyte* planes, int stride)
    {
        int* first = initial + (((block * shape.Rows) + m) * shape.InitialVectors * (long)GemvShape.Lanes);
        new Span<int>(first, shape.InitialVectors * GemvShape.Lanes).Clear();
        int begin = block * shape.BlockUnits, count = Math.Min(shape.BlockUnits, units - begin);
        for (int unit = 0; unit < count; unit++)
        {
            for (int plane = 0; plane < shape.Planes; plane++)
            {
                sbyte* to = x + ((begin + unit) * (long)shape.UnitActivations)
                    + (((m * shape.Planes) + plane) * shape.Vectors * GemvShape.UnitBytes);
                sbyte* from = planes + (plane * stride) + (unit * shape.UnitCodes);
                if (shape.Bits == 8)
                {
                    Vector512.Load(from).Store(to);
                    Add(first + (plane * GemvShape.Lanes), LaneSums(to) * -offset);
                }
                else
                {
                    SplitHalves(from, to);
                    Vector512<int> sum = (LaneSums(to) + LaneSums(to + GemvShape.UnitBytes)) * -offset;
                    Add(first, sum << (8 * (shape.Planes - 1 - plane)));
                }
            }
        }
    }

    private static void Add(int* to, Vector512<int> values) => (Vector512.Load(to) + values).Store(to);

    private static Vector512<int> LaneSums(sbyte* codes) =>
        ByteProducts.Add(Vector512<int>.Zero, Vector512<byte>.One, Vector512.Load(codes));

    // Low halves of bytes hold the even codes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SplitHalves(sbyte* from, sbyte* to)
    {
        for (int i = 0; i < 2; i++)
        {
            Vector512<short> pairs = Vector512.Load((short*)from + (32 * i));
            Vector512.Narrow((pairs << 8) >> 8, Vector512<short>.Zero).GetLower().Store(to + (32 * i));
            Vector512.Narrow(pairs >> 8, Vector512<short>.Zero).GetLower().Store(to + GemvShape.UnitBytes + (32 * i));
        }
    }
}
