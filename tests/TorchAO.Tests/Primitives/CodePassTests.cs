using TorchAO.Primitives.Kernels;
using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

/// <summary>The passes of the other grids against their tensor arithmetic, bit by bit.</summary>
public sealed class CodePassTests
{
    [Fact]
    public void Nearest_values_of_the_normal_table_are_those_of_the_tensor_arithmetic()
    {
        foreach ((Tensor x, long[] block) in SpecialWeights.All())
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor scale = Nf4Quantization.ChooseScale(x.nan_to_num(0, 8, -8), block[1]);

            AssertSame(Nf4Quantization.ByTensors(x, scale), Nf4Quantization.Quantize(x, scale), x, block);
        }
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(2, 2)]
    [InlineData(3, 2)]
    [InlineData(2, 3)]
    [InlineData(4, 3)]
    [InlineData(5, 2)]
    [InlineData(3, 0)]
    [InlineData(1, 2)]
    [InlineData(1, 0)]
    public void Small_floats_are_those_of_the_tensor_arithmetic(int exponentBits, int mantissaBits)
    {
        var type = new FloatxType(exponentBits, mantissaBits);
        foreach ((Tensor x, long[] block) in SpecialWeights.All())
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor scale = FloatxQuantization.ChooseScale(x.nan_to_num(0, 8, -8), type);

            AssertSame(FloatxQuantization.ByTensors(x, scale, type), FloatxQuantization.Quantize(x, scale, type), x, block);
        }
    }

    [Theory]
    [InlineData(MxElementType.Float8E4M3)]
    [InlineData(MxElementType.Float8E5M2)]
    [InlineData(MxElementType.Float6E3M2)]
    [InlineData(MxElementType.Float6E2M3)]
    [InlineData(MxElementType.Float4E2M1)]
    public void Blocks_with_a_power_of_two_are_those_of_the_tensor_arithmetic(MxElementType element)
    {
        foreach ((Tensor x, long[] block) in SpecialWeights.All())
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor scale = MxQuantization.ChooseScale(x, element, block[1]);
            Tensor known = MxQuantization.ChooseScale(x.t().contiguous().t(), element, block[1]); // strided: by tensors

            AssertSame(known, scale, x, block);
            AssertSame(
                MxQuantization.ByTensors(x, scale, MxElement.Of(element)), MxQuantization.Quantize(x, scale, element), x, block);
        }
    }

    [Fact]
    public void Ternary_codes_are_those_of_the_tensor_arithmetic()
    {
        foreach ((Tensor x, long[] block) in SpecialWeights.All())
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor scale = TernaryQuantization.ChooseScale(x.nan_to_num(0, 8, -8));

            AssertSame(
                TernaryQuantization.ByTensors(x, scale.clamp(min: TernaryQuantization.Epsilon)),
                TernaryQuantization.Quantize(x, scale), x, block);
        }
    }

    // Sums run in another order and the powers of outliers come from another library: zero points agree to float32, and a code may
    // differ where a value lies next to the middle of two.
    [Theory]
    [InlineData(4, 64, 0.02)]
    [InlineData(4, 64, 3)]
    [InlineData(2, 32, 1)]
    [InlineData(3, 17, 1)]
    [InlineData(8, 9, 1)]
    public void Half_quadratic_rounds_are_those_of_the_tensor_arithmetic(int bits, long groupSize, double spread)
    {
        foreach (ScalarType type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16])
        {
            using DisposeScope scope = NewDisposeScope();
            random.manual_seed(bits);
            var options = new HqqOptions { Bits = bits, GroupSize = groupSize, ComputeType = ScalarType.Float32 };
            Tensor w = (randn(500, groupSize) * spread).to_type(type);
            double top = (1 << bits) - 1;
            Tensor wide = w.to_type(ScalarType.Float32);
            Tensor min = wide.amin([1], keepdim: true), max = wide.amax([1], keepdim: true);
            Tensor inverse = (max - min).reciprocal() * top, start = -min * inverse;
            Tensor zero = bits == 4 ? start.round() : start; // as the paper's code begins

            Tensor fast = HqqRounds.Solve(w, inverse, zero, top, options);
            Tensor plain = HqqQuantization.Solve(wide, inverse, zero, top, options);
            (Tensor codes, _) = HqqQuantization.Quantize(w, options);

            double apart = (fast - plain).abs().max().item<float>();
            Assert.True((plain - zero).abs().max().item<float>() > 1e-3, "the solver moves zero points");
            Assert.True(apart <= 1e-5 * (top + 1), $"{type}: zero points are {apart} apart");
            Assert.Equal(((wide * inverse) + fast).round().clamp(0, top).to_type(ScalarType.Byte).bytes.ToArray(), codes.bytes.ToArray());
        }
    }

    private static void AssertSame(Tensor expected, Tensor actual, Tensor x, long[] block)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        byte[] a = expected.bytes.ToArray(), b = actual.bytes.ToArray();
        int at = a.AsSpan().CommonPrefixLength(b);
        Assert.True(at == a.Length, $"{x.dtype} [{x.size(0)}, {x.size(1)}] in {block[1]}: code {at} is {(at < b.Length ? b[at] : 0)}");
    }
}
