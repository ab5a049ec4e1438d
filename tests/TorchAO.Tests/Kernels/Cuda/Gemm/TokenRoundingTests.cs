using TorchAO.Kernels.Cuda.Gemm;
using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Gemm;

public sealed class TokenRoundingTests
{
    private static readonly ActivationScheme[] Schemes =
    [
        ActivationScheme.Int8PerToken,
        ActivationScheme.Int8PerToken with { HasFloat32Scales = true },
        ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: false),
        ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: true),
        ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: true, staticScale: 0.01f),
        ActivationScheme.Float8(QuantizedType.Float8E5M2, isPerTensor: false),
    ];

    // Scales in float16 have no reciprocal below 1.6e-5, so these tokens are large.
    [CudaFact]
    public void Float16_scales_round_every_step_to_float16()
    {
        using DisposeScope scope = NewDisposeScope();
        ActivationScheme scheme = ActivationScheme.Int8PerToken with { WidensHalfScales = false };
        Tensor input = (randn(20, 1024) * 10).to(ScalarType.Float16);
        (Tensor expected, QParams qparams) = scheme.Quantize(input);

        (Tensor codes, Tensor scales) = TokenRounding.Run(input.cuda(), scheme);

        using (qparams)
        {
            Assert.True(expected.bytes.SequenceEqual(codes.cpu().bytes), "codes");
            Assert.True(qparams.Scale.to(ScalarType.Float32).flatten().equal(scales.cpu()).all().item<bool>(), "scales");
        }
    }

    // Rows of very different size, one of zeros; what a given scale cannot hold saturates.
    [CudaTheory]
    [InlineData(1, 16)]
    [InlineData(37, 4096)]
    [InlineData(300, 1040)]
    public void Codes_and_scales_are_those_of_the_scheme_on_the_cpu(int m, int k)
    {
        foreach (ActivationScheme scheme in Schemes)
        {
            foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16 })
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor sizes = pow(10, linspace(-6, 3, m)).unsqueeze(1);
                Tensor input = (randn(m, k) * sizes).to(type);
                input[0].zero_();
                (Tensor expected, QParams qparams) = scheme.Quantize(input);

                (Tensor codes, Tensor scales) = TokenRounding.Run(input.cuda(), scheme);

                using (qparams)
                {
                    string name = $"{scheme}, {type}";
                    Assert.True(expected.bytes.SequenceEqual(codes.cpu().bytes), $"{name}: codes");
                    Assert.True(qparams.Scale.to(ScalarType.Float32).flatten().equal(scales.cpu()).all().item<bool>(), $"{name}: scales");
                }
            }
        }
    }

    [CudaTheory]
    [InlineData(1, 32)]
    [InlineData(50, 4096)]
    public void Integers_in_bfloat16_are_the_codes_less_their_zero_points(int m, int k)
    {
        foreach (ActivationScheme scheme in new[] { ActivationScheme.Int8PerToken, ActivationScheme.Int8PerTokenAsymmetric, ActivationScheme.Int4PerToken })
        {
            foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16 })
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor input = ((randn(m, k) * pow(10, linspace(-2, 3, m)).unsqueeze(1)) + 0.3).to(type);
                (Tensor codes, QParams qparams) = scheme.Quantize(input);

                (Tensor values, Tensor scales) = TokenValues.Run(input.cuda(), scheme);

                using (qparams)
                {
                    Tensor expected = codes.to(ScalarType.Float32);
                    expected = qparams.ZeroPoint is { } zero ? expected - zero.to(ScalarType.Float32) : expected;
                    Assert.True(expected.equal(values.cpu().to(ScalarType.Float32)).all().item<bool>(), $"{scheme}, {type}: integers");
                    Assert.True(qparams.Scale.to(ScalarType.Float32).flatten().equal(scales.cpu()).all().item<bool>(), $"{scheme}, {type}: scales");
                }
            }
        }
    }
}
