using System.Diagnostics;
using System.Runtime.Intrinsics;

namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>
/// A few weight rows times a few activation rows of bytes:
/// <c>y[m, n] = Σ_b scale[n, g(b)] · step[b, m] · (initial[b, m] + Σ_k code[n, k] · x[k, m]) + Σ_g zero[n, g] · sum[m, g]</c>, the inner
/// sum exact. <see cref="GemvFunction"/> has code made at run time;
/// this is its twin in intrinsics, the same bit for bit.
/// </summary>
internal static unsafe class GemvKernel
{
    private const int Digit = 8;

    /// <summary>The twin: the same lanes, and the same order of operations in each.</summary>
    internal static void Wide(GemvShape shape, GemvArguments* operands)
    {
        Debug.Assert(shape.Rows is > 0 and <= GemvShape.MaxRows);
        for (long row = 0; row < operands->WeightRows; row++)
        {
            byte* weight = operands->Weight + (row * operands->WeightStride);
            float* scales = (float*)((byte*)operands->Scales + (row * operands->ScaleStride));
            float* zeros = (float*)((byte*)operands->Zeros + (row * operands->ZeroStride));
            for (int m = 0; m < shape.Rows; m++)
            {
                Vector512<float> total = Total(shape, operands, weight, scales, m);
                total = shape.HasZeros ? AddZeros(operands, zeros, m, total) : total;
                *(float*)((byte*)(operands->Y + row) + (m * operands->YStride)) = SumOf(total);
            }
        }
    }

    /// <summary>Adds up lanes as the emitted code does: halves, until one is left.</summary>
    internal static float SumOf(Vector512<float> lanes)
    {
        Vector256<float> eight = lanes.GetLower() + lanes.GetUpper();
        Vector128<float> four = eight.GetLower() + eight.GetUpper();
        four += Vector128.Shuffle(four, Vector128.Create(2, 3, 2, 3));
        return four[0] + four[1];
    }

    private static Vector512<float> Total(GemvShape shape, GemvArguments* operands, byte* weight, float* scales, int m)
    {
        var total = Vector512<float>.Zero;
        bool hasRest = operands->RestUnits > 0 || operands->TailMask != 0;
        long blocks = operands->Blocks + (hasRest ? 1 : 0);
        long group = 0, left = operands->GroupBlocks;
        for (long block = 0; block < blocks; block++)
        {
            bool isLast = block == operands->Blocks;
            long units = isLast ? operands->RestUnits : shape.BlockUnits;
            ulong tail = isLast ? operands->TailMask : 0;
            Vector512<float> value = BlockValue(shape, operands, weight, block, units, tail, m);
            if (shape.Planes > 1)
            {
                value *= Vector512.Create(operands->XScales[(block * shape.Rows) + m]);
            }

            Vector512<float> scale = shape.GroupsPerUnit == 1
                ? Vector512.Create(scales[group])
                : Spread(shape, scales + group, isLast ? operands->TailGroups : ulong.MaxValue);
            total = Vector512.FusedMultiplyAdd(value, scale, total);
            if (shape.GroupsPerUnit > 1)
            {
                group += shape.GroupsPerUnit;
            }
            else if (--left == 0)
            {
                (group, left) = (group + 1, operands->GroupBlocks);
            }
        }

        return total;
    }

    private static Vector512<float> BlockValue(
        GemvShape shape, GemvArguments* operands, byte* weight, long block, long units, ulong tail, int m)
    {
        int* initial = operands->Initial + (((block * shape.Rows) + m) * shape.InitialVectors * GemvShape.Lanes);
        long firstUnit = block * shape.BlockUnits;
        if (shape.Bits != 8)
        {
            Vector512<int> sum = UnitSum(shape, operands, Load(weight + (firstUnit * GemvShape.UnitBytes), tail), firstUnit, m);
            return Vector512.ConvertToSingle(sum + Vector512.Load(initial));
        }

        Vector512<int> high = Vector512.Load(initial), middle = default, low = default;
        if (shape.Planes > 1)
        {
            middle = Vector512.Load(initial + GemvShape.Lanes);
            low = Vector512.Load(initial + (2 * GemvShape.Lanes));
        }

        for (long unit = 0; unit < units + (tail == 0 ? 0 : 1); unit++)
        {
            Vector512<byte> codes = Load(weight + ((firstUnit + unit) * GemvShape.UnitBytes), unit == units ? tail : 0)
                ^ Vector512.Create((byte)0x80);
            sbyte* x = operands->X + ((firstUnit + unit) * shape.UnitActivations) + (m * shape.Planes * GemvShape.UnitBytes);
            high = ByteProducts.Add(high, codes, Vector512.Load(x));
            if (shape.Planes > 1)
            {
                middle = ByteProducts.Add(middle, codes, Vector512.Load(x + GemvShape.UnitBytes));
                low = ByteProducts.Add(low, codes, Vector512.Load(x + (2 * GemvShape.UnitBytes)));
            }
        }

        return shape.Planes == 1
            ? Vector512.ConvertToSingle(high)
            : Vector512.FusedMultiplyAdd(
                Vector512.ConvertToSingle((high << Digit) + middle), Vector512.Create(256f), Vector512.ConvertToSingle(low));
    }

    private static Vector512<int> UnitSum(GemvShape shape, GemvArguments* operands, Vector512<byte> codes, long unit, int m)
    {
        var mask = Vector512.Create((byte)15);
        Vector512<byte> even = codes & mask, odd = (codes.AsUInt16() >>> 4).AsByte() & mask;
        sbyte* x = operands->X + (unit * shape.UnitActivations) + (m * shape.Planes * 2 * GemvShape.UnitBytes);
        Vector512<int> sum = default;
        for (int plane = 0; plane < shape.Planes; plane++, x += 2 * GemvShape.UnitBytes)
        {
            sum = ByteProducts.Add(sum << (plane == 0 ? 0 : Digit), even, Vector512.Load(x));
            sum = ByteProducts.Add(sum, odd, Vector512.Load(x + GemvShape.UnitBytes));
        }

        return sum;
    }

    // Nothing is read where a tail has no bit; 0 stands for a whole unit.
    private static Vector512<byte> Load(byte* from, ulong tail)
    {
        if (tail == 0)
        {
            return Vector512.Load(from);
        }

        byte* bytes = stackalloc byte[GemvShape.UnitBytes];
        new ReadOnlySpan<byte>(from, 64 - System.Numerics.BitOperations.LeadingZeroCount(tail))
            .CopyTo(new Span<byte>(bytes, GemvShape.UnitBytes));
        return Vector512.Load(bytes);
    }

    private static Vector512<float> Spread(GemvShape shape, float* scales, ulong present)
    {
        float* lanes = stackalloc float[GemvShape.Lanes];
        for (int lane = 0; lane < GemvShape.Lanes; lane++)
        {
            int group = lane * shape.GroupsPerUnit / GemvShape.Lanes;
            lanes[lane] = (present >> group & 1) == 0 ? 0 : scales[group];
        }

        return Vector512.Load(lanes);
    }

    private static Vector512<float> AddZeros(GemvArguments* operands, float* zeros, int m, Vector512<float> total)
    {
        float* sums = (float*)((byte*)operands->Sums + (m * operands->SumStride));
        long i = 0;
        for (; i < operands->ZeroVectors * GemvShape.Lanes; i += GemvShape.Lanes)
        {
            total = Vector512.FusedMultiplyAdd(Vector512.Load(zeros + i), Vector512.Load(sums + i), total);
        }

        if (operands->ZeroMask == 0)
        {
            return total;
        }

        float* rest = stackalloc float[GemvShape.Lanes];
        int count = System.Numerics.BitOperations.PopCount(operands->ZeroMask);
        new ReadOnlySpan<float>(zeros + i, count).CopyTo(new Span<float>(rest, GemvShape.Lanes));
        return Vector512.FusedMultiplyAdd(Vector512.Load(rest), Vector512.Load(sums + i), total);
    }
}
