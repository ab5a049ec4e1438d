using TorchAO.Kernels.Cpu;
using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cpu;

/// <summary>Rounding of tokens against the scheme's own arithmetic, bit for bit.</summary>
public sealed unsafe class TokenCodesTests
{
    public static TheoryData<string, ScalarType> Cases()
    {
        var data = new TheoryData<string, ScalarType>();
        foreach (string scheme in new[] { "int8", "int8 asymmetric", "int4" })
        {
            data.Add(scheme, ScalarType.Float32);
            data.Add(scheme, ScalarType.BFloat16);
            data.Add(scheme, ScalarType.Float16);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Codes_scales_and_zero_points_are_the_schemes(string name, ScalarType type)
    {
        ActivationScheme scheme = Scheme(name);
        for (int k = 1; k <= 67; k += k < 20 ? 1 : 9)
        {
            using DisposeScope scope = NewDisposeScope();
            random.manual_seed(k);
            Tensor x = cat(
                [
                    randn(9, k), randn(3, k) * 1e4, randn(3, k) * 1e-7, rand(2, k) + 5, -rand(2, k) - 5, zeros(1, k), full(1, k, 3),
                    (randn(4, k) * 16).round() / 16,
                ]).to(type);
            AssertSame(x, scheme);
        }
    }

    [Theory]
    [InlineData("int8")]
    [InlineData("int8 asymmetric")]
    public void Infinite_activations_go_to_the_scheme_itself(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(3, 20);
        x[1, 7] = float.PositiveInfinity;

        using var codes = new TokenCodes(x, Scheme(name));
        (_, QParams expected) = Scheme(name).Quantize(x);
        using (expected)
        {
            Assert.Equal(
                expected.Scale.to(ScalarType.Float32).data<float>().ToArray(), new ReadOnlySpan<float>(codes.Scales, 3).ToArray());
        }
    }

    private static void AssertSame(Tensor x, ActivationScheme scheme)
    {
        int rows = (int)x.size(0);
        using var tokens = new TokenCodes(x, scheme);
        (Tensor codes, QParams qparams) = scheme.Quantize(x);
        using (qparams)
        {
            Assert.Equal(
                qparams.Scale.to(ScalarType.Float32).data<float>().ToArray(), new ReadOnlySpan<float>(tokens.Scales, rows).ToArray());
            Assert.Equal(codes.data<sbyte>().ToArray(), new ReadOnlySpan<sbyte>(tokens.Codes, rows * (int)x.size(1)).ToArray());
            if (qparams.ZeroPoint is { } zero)
            {
                Assert.Equal(
                    zero.to(ScalarType.Float32).data<float>().ToArray(), new ReadOnlySpan<float>(tokens.ZeroPoints, rows).ToArray());
            }
        }
    }

    private static ActivationScheme Scheme(string name) => name switch
    {
        "int8" => ActivationScheme.Int8PerToken,
        "int4" => ActivationScheme.Int4PerToken,
        _ => ActivationScheme.Int8PerTokenAsymmetric,
    };
}
