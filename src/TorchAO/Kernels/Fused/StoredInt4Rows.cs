using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Fused;

/// <summary>Rows of 4-bit codes, a step and a least value a group: <c>x[i] ≈ q[i] · step[g] + least[g]</c>, the first of two codes
/// in the high bits of a byte.</summary>
internal sealed unsafe class StoredInt4Rows : StoredRows
{
    private const float LargestCode = 15;
    private const float SmallestStep = 1e-5f;

    private readonly (Tensor Packed, Tensor Step, Tensor Least) components; // keep the addresses valid
    private readonly byte* codes;
    private readonly StoredNumbers steps;
    private readonly StoredNumbers leasts;
    private readonly int groups;

    public StoredInt4Rows(Tensor packed, Tensor step, Tensor least)
        : base(packed, step.dtype, checked((int)packed.size(-1) * 2))
    {
        groups = checked((int)step.size(-1));
        if (groups == 0 || Size % groups != 0 || Size / groups % 2 != 0)
        {
            throw new ArgumentException(
                $"steps {TensorMemory.Describe(step)} for rows of {Size} numbers, expected groups of an even size.", nameof(step));
        }

        RequireLike(step, packed, groups, nameof(step));
        RequireLike(least, packed, groups, nameof(least));
        components = (packed, step, least);
        codes = TensorMemory.Address<byte>(packed);
        steps = new StoredNumbers(step);
        leasts = new StoredNumbers(least);
    }

    /// <summary>The reference for one group: the definition, in order. <paramref name="first"/> is even.</summary>
    internal static void Scalar(byte* codes, float step, float least, float* row, int length, int first = 0)
    {
        for (int i = first; i < length; i += 2)
        {
            byte pair = codes[i / 2];
            row[i] = ((pair >> 4) * step) + least;
            row[i + 1] = ((pair & 0xF) * step) + least;
        }
    }

    internal static void Wide128(byte* codes, float step, float least, float* row, int length) =>
        Wide<Lanes128, Vector128<float>>(codes, step, least, row, length);

    internal static void Wide256(byte* codes, float step, float least, float* row, int length) =>
        Wide<Lanes256, Vector256<float>>(codes, step, least, row, length);

    internal static void Wide512(byte* codes, float step, float least, float* row, int length) =>
        Wide<Lanes512, Vector512<float>>(codes, step, least, row, length);

    // Step and least value are rounded to the model's type; the codes come from what was rounded.
    private protected override void Store(long index, float* row)
    {
        int length = Size / groups;
        for (int g = 0; g < groups; g++)
        {
            float* group = row + (g * length);
            (float low, float high) = RowRange.Ends(group, length, this);
            float step = Round(MathF.Max((high - low) / LargestCode, SmallestStep));
            float least = Round(low);
            steps.Set((index * groups) + g, step);
            leasts.Set((index * groups) + g, least);
            byte* to = codes + (((index * groups) + g) * (length / 2));
            for (int i = 0; i < length; i += 2)
            {
                to[i / 2] = (byte)((Code(group[i]) << 4) | Code(group[i + 1]));
            }

            int Code(float value) => (int)Math.Clamp(MathF.Round((Round(value) - least) / step), 0, LargestCode);
        }

        GC.KeepAlive(components);
    }

    private protected override float* Read(long index, int count, float* scratch)
    {
        int length = Size / groups;
        int lanes = Widest.Lanes(length);
        float* to = scratch;
        for (long group = index * groups; group < (index + count) * groups; group++, to += length)
        {
            byte* from = codes + (group * (length / 2));
            (float step, float least) = (steps[group], leasts[group]);
            switch (lanes)
            {
                case 16:
                    Wide512(from, step, least, to, length);
                    break;
                case 8:
                    Wide256(from, step, least, to, length);
                    break;
                case 4:
                    Wide128(from, step, least, to, length);
                    break;
                default:
                    Scalar(from, step, least, to, length);
                    break;
            }
        }

        return scratch;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Wide<TLanes, TVector>(byte* codes, float step, float least, float* row, int length)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        (TVector steps, TVector leasts) = (TLanes.Broadcast(step), TLanes.Broadcast(least));
        int i = 0;
        for (; i <= length - TLanes.Count; i += TLanes.Count)
        {
            TLanes.Store(TLanes.MultiplyAdd(TLanes.FromNibbles(codes + (i / 2)), steps, leasts), row + i);
        }

        Scalar(codes, step, least, row, length, i);
    }
}
