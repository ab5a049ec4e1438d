using System.Runtime.Intrinsics;
using TorchAO.Primitives.Kernels;
using TorchAO.Primitives;
using TorchAO.Runtime.Memory;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

/// <summary>The passes over memory against the tensor arithmetic, bit by bit.</summary>
public sealed class BlockCodesTests
{
    private const double Float32Epsilon = 1.1920928955078125e-7;

    public static TheoryData<string> Schemes => [.. Named.Keys];

    private static Dictionary<string, AffineScheme> Named { get; } = MakeSchemes();

    [Theory]
    [MemberData(nameof(Schemes))]
    public void Codes_are_those_of_the_tensor_arithmetic(string name)
    {
        foreach ((Tensor x, long[] block) in SpecialWeights.All())
        {
            using DisposeScope scope = NewDisposeScope();
            AffineScheme scheme = Named[name];
            QParams qparams = AffineQuantization.ChooseQParams(x.nan_to_num(0, 8, -8), block, scheme);
            var layout = new BlockLayout(x.shape, block);

            Tensor fast = AffineQuantization.Quantize(x, block, qparams, scheme);
            Tensor plain = AffineQuantization.ByTensors(
                x, layout, qparams.Scale.reshape(layout.Kept), qparams.ZeroPoint?.reshape(layout.Kept), scheme);

            Assert.True(AffineQuantization.IsInOnePass(x, scheme));
            Assert.Equal(plain.dtype, fast.dtype);
            Assert.True(
                plain.bytes.SequenceEqual(fast.bytes), $"{Describe(x, block)}: code {FirstDifference(plain, fast)} differs");
        }
    }

    [Theory]
    [MemberData(nameof(Schemes))]
    public void Parameters_are_those_of_the_tensor_arithmetic(string name)
    {
        foreach ((Tensor x, long[] block) in SpecialWeights.All())
        {
            using DisposeScope scope = NewDisposeScope();
            AffineScheme scheme = Named[name];
            (Tensor min, Tensor max) = AffineQuantization.Extremes(x, new BlockLayout(x.shape, block));

            QParams fast = AffineQuantization.ChooseQParams(x, block, scheme);
            QParams plain = AffineQuantization.ChooseQParamsFromRange(min, max, scheme);

            AssertSame(plain.Scale, fast.Scale, Describe(x, block));
            Assert.Equal(plain.ZeroPoint is null, fast.ZeroPoint is null);
            if (plain.ZeroPoint is not null)
            {
                AssertSame(plain.ZeroPoint, fast.ZeroPoint!, Describe(x, block));
            }
        }
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void One_value_that_is_not_finite_is_found_wherever_it_stands(ScalarType type)
    {
        foreach (int count in (int[])[1, 15, 16, 17, 33, 70000])
        {
            foreach (int at in (int[])[0, count / 2, count - 1])
            {
                foreach (float odd in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
                {
                    using DisposeScope scope = NewDisposeScope();
                    Tensor x = ones(1, count, dtype: type);
                    bool before = BlockExtremes.AreFinite(x);
                    x[0, at] = odd;

                    Assert.True(before);
                    Assert.False(BlockExtremes.AreFinite(x), $"{odd} at {at} of {count}");
                }
            }
        }
    }

    [Fact]
    public void Every_float16_and_bfloat16_is_widened_as_libtorch_widens_it()
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (ScalarType type in (ScalarType[])[ScalarType.Float16, ScalarType.BFloat16])
        {
            Tensor x = empty([65536], dtype: type);
            Span<ushort> bits = TensorMemory.Span<ushort>(x);
            for (int i = 0; i < bits.Length; i++)
            {
                bits[i] = (ushort)i;
            }

            (Tensor min, Tensor max) = BlockExtremes.Find(x, 65536);

            AssertSame(x, min, type.ToString());
            AssertSame(x, max, type.ToString());
        }
    }

    [Fact]
    public void Bytes_are_narrowed_alike_without_AVX_512() => Assert.Equal(
        Enumerable.Range(0, 16).Select(i => (byte)((i * 37) - 128)),
        Enumerable.Range(0, 16).Select(i => CodePass.LowBytesPortably(Vector512.Create<uint>(
            [.. Enumerable.Range(0, 16).Select(j => (uint)((j * 37) - 128))]))[i]));

    private static Dictionary<string, AffineScheme> MakeSchemes()
    {
        AffineScheme signed = new(QuantizedType.Int8) { Domain = ZeroPointDomain.None, Epsilon = Float32Epsilon };
        AffineScheme asymmetric = new(QuantizedType.UInt4) { Mapping = MappingType.Asymmetric, Epsilon = 1e-6 };
        AffineScheme byValue = asymmetric with { Domain = ZeroPointDomain.Float, PreserveZero = false };
        return new()
        {
            ["int8"] = signed,
            ["int8, -127 to 127"] = signed with { Target = QuantizedType.Int8.Within(-127, 127) },
            ["int8, zero points of the symmetric mapping"] = signed with { Domain = ZeroPointDomain.Integer },
            ["int8, float32 scales"] = signed with { ScaleType = ScalarType.Float32 },
            ["int8, no clipping error"] = signed with { Mapping = MappingType.SymmetricNoClippingError },
            ["int8, asymmetric with float32 parameters"] = signed with
            {
                Mapping = MappingType.Asymmetric,
                Domain = ZeroPointDomain.Integer,
                ScaleType = ScalarType.Float32,
                ZeroPointType = ScalarType.Float32,
            },
            ["int4"] = signed with { Target = QuantizedType.Int4 },
            ["uint4, zero points as codes"] = asymmetric with { ZeroPointType = ScalarType.Byte },
            ["uint4, zero points as values"] = byValue,
            ["uint4, zero points as float32 values"] = byValue with
            {
                ScaleType = ScalarType.Float32,
                ZeroPointType = ScalarType.Float32,
            },
            ["uint8, zero points as int32"] = asymmetric with
            {
                Target = QuantizedType.UInt8,
                Epsilon = Float32Epsilon,
                ZeroPointType = ScalarType.Int32,
            },
            ["uint3, zero points as values"] = byValue with { Target = QuantizedType.Unsigned(3) },
            ["uint1"] = asymmetric with { Target = QuantizedType.Unsigned(1) },
        };
    }

    private static void AssertSame(Tensor expected, Tensor actual, string where)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        using Tensor a = expected.to_type(ScalarType.Float64), b = actual.to_type(ScalarType.Float64);
        Assert.True(
            a.contiguous().data<double>().ToArray().AsSpan().SequenceEqual(b.contiguous().data<double>().ToArray()),
            $"{where}: {FirstDifference(expected, actual)}");
    }

    private static string FirstDifference(Tensor expected, Tensor actual)
    {
        using DisposeScope scope = NewDisposeScope();
        double[] a = expected.to_type(ScalarType.Float64).flatten().data<double>().ToArray();
        double[] b = actual.to_type(ScalarType.Float64).flatten().data<double>().ToArray();
        int at = Enumerable.Range(0, a.Length).FirstOrDefault(i => !a[i].Equals(b[i]), -1);
        return at < 0 ? "none" : $"{at} is {b[at]} instead of {a[at]}";
    }

    private static string Describe(Tensor x, long[] block) => $"{x.dtype} [{x.size(0)}, {x.size(1)}] in {block[1]}";
}
