using TorchAO.Formats;
using TorchAO.Formats.BitNet;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Floatx;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Formats.Mx;
using TorchAO.Formats.Nf4;
using TorchAO.Formats.UIntX;
using TorchAO.Numerics;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Quantize;

/// <summary>Every grid that a pass over a weight has, with all of its options, and weights of every kind.</summary>
internal static class OnePassGrids
{
    /// <summary>Makes the grids, some of which differ in what kernels are given and not in what they are compiled for, for groups of a
    /// size; those of whole rows and weights ignore it.</summary>
    public static IReadOnlyDictionary<string, Func<long, IOnePassGrid[]>> All { get; } = new Dictionary<string, Func<long, IOnePassGrid[]>>
    {
        ["int8"] = group => [new Int8Grid(group), new Int8Grid(group, isNarrow: true)],
        ["int4, values"] = group => [new Int4Grid(group, MappingType.Asymmetric)],
        ["int4, codes"] = group =>
        [
            new Int4Grid(group, MappingType.Symmetric),
            new Int4Grid(group, MappingType.Symmetric, isNarrow: true),
            new Int4Grid(group, MappingType.SymmetricNoClippingError),
            new Int4Grid(group, MappingType.Asymmetric, domain: ZeroPointDomain.Integer),
        ],
        ["uint1"] = group => UIntX(1, group),
        ["uint2"] = group => UIntX(2, group),
        ["uint3"] = group => UIntX(3, group),
        ["uint4"] = group => UIntX(4, group),
        ["uint5"] = group => UIntX(5, group),
        ["uint6"] = group => UIntX(6, group),
        ["uint7"] = group => UIntX(7, group),
        ["uint8"] = group => UIntX(8, group),
        ["uint4, values"] = group => [new UIntXGrid(4, group, UIntXGrid.Valued(4, 1e-6))],
        ["float8 e4m3"] = _ => Float8(ScalarTypes.Float8E4M3, null),
        ["float8 e5m2"] = _ => Float8(ScalarTypes.Float8E5M2, null),
        ["float8 e4m3, float32 scales"] = _ => Float8(ScalarTypes.Float8E4M3, ScalarType.Float32),
        ["fp6"] = _ => [new FloatxGrid(new FloatxType(3, 2))],
        ["fp5"] = _ => [new FloatxGrid(new FloatxType(2, 2))],
        ["fp4"] = _ => [new FloatxGrid(new FloatxType(2, 1))],
        ["fp3"] = _ => [new FloatxGrid(new FloatxType(1, 1))],
        ["fp7"] = _ => [new FloatxGrid(new FloatxType(5, 1))],
        ["mxfp8 e4m3"] = group => Mx(MxElementType.Float8E4M3, group),
        ["mxfp8 e5m2"] = group => Mx(MxElementType.Float8E5M2, group),
        ["mxfp6 e3m2"] = group => Mx(MxElementType.Float6E3M2, group),
        ["mxfp6 e2m3"] = group => Mx(MxElementType.Float6E2M3, group),
        ["mxfp4"] = group => Mx(MxElementType.Float4E2M1, group),
        ["nf4"] = group => [new Nf4Grid(group, 6)],
        ["ternary"] = _ => [new BitNetGrid()],
    };

    /// <summary>Makes a finite weight whose first rows are of zeros, of one value, of ties, of the outermost numbers of the type and of
    /// the smallest; others are of very different size.</summary>
    /// <param name="n">N.</param>
    /// <param name="k">K.</param>
    /// <param name="type">The type.</param>
    /// <returns>The weight. The caller disposes it.</returns>
    public static Tensor Weight(long n, long k, ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(n + k);
        Tensor x = randn(n, k) * exp(randn(n, 1) * 4) * exp(randn(n, k).round());
        double most = type == ScalarType.Float16 ? 65504 : 3e38;
        Tensor[] special =
        [
            zeros(k), full([k], -1.5f), randint(-7, 8, [k]) + 0.5f, randn(k).sign() * most, randn(k) * 1e-6, randn(k) * -1e-40, rand(k) + 3,
            pow(2, randint(-12, 12, [k]).to(ScalarType.Float32)), -rand(k) - 1,
        ];
        for (int i = 0; i < Math.Min(n - 1, special.Length); i++)
        {
            x[i] = special[i];
        }

        return x.clamp(-most, most).to_type(type).MoveToOuterDisposeScope();
    }

    /// <summary>Makes a row of the magnitudes whose logarithms are hard to round down or up: in bfloat16 all, in other types those next to
    /// powers of two.</summary>
    /// <returns>The row. The caller disposes it.</returns>
    public static Tensor HardLogarithms(ScalarType type)
    {
        if (type == ScalarType.BFloat16)
        {
            return tensor([.. Enumerable.Range(1, 0x7F7F).Select(bits => BitConverter.Int32BitsToSingle(bits << 16))], [1, 0x7F7F])
                .to_type(type);
        }

        (int from, int to) = type == ScalarType.Float32 ? (-126, 127) : (-14, 15);
        double place = type == ScalarType.Float32 ? Math.ScaleB(1, -24) : Math.ScaleB(1, -11);
        float[] values = [.. Enumerable.Range(from, to - from + 1)
            .SelectMany(exponent => Enumerable.Range(-40, 60).Select(places => (float)Math.ScaleB(1 + (places * place), exponent)))];
        return tensor(values, [1, values.Length]).to_type(type);
    }

    /// <summary>Computes on the CPU what a pass is to make.</summary>
    /// <returns>The quantized tensor. The caller disposes it.</returns>
    public static QuantizedTensor Expected(IOnePassGrid grid, Tensor weight)
    {
        using QParams qparams = grid.ChooseQParams(weight);
        using Tensor codes = grid.Quantize(weight, qparams);
        return grid.Pack(codes, qparams, weight.dtype);
    }

    private static IOnePassGrid[] UIntX(int bits, long group) =>
    [
        new UIntXGrid(bits, group, UIntXGrid.Unsigned(bits)),
        new UIntXGrid(bits, group, UIntXGrid.Signed(bits, MappingType.Asymmetric, hasZeros: true)),
        new UIntXGrid(bits, group, UIntXGrid.Signed(bits, MappingType.Asymmetric, hasZeros: false)),
        new UIntXGrid(bits, group, UIntXGrid.Signed(bits, MappingType.Symmetric, hasZeros: false)),
    ];

    private static IOnePassGrid[] Float8(ScalarType type, ScalarType? scaleType) =>
    [
        new Float8Grid(type, Float8Granularity.PerRow, scaleType),
        new Float8Grid(type, Float8Granularity.PerTensor, scaleType),
    ];

    private static IOnePassGrid[] Mx(MxElementType element, long group) =>
        [.. Enum.GetValues<ScaleRounding>().Select(scaling => new MxGrid(element, group, scaling))];
}
