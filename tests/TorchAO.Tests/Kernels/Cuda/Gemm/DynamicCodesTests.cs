using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Gemm;

public sealed class DynamicCodesTests
{
    private static readonly ActivationScheme PerRow = ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: false);
    private static readonly ActivationScheme PerTensor = ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: true);

    private static readonly (string Kernel, QuantizeConfig Config, ActivationScheme Scheme)[] Cases =
    [
        ("int8.cuda.gemm_int8", new Int8WeightOnlyConfig(), ActivationScheme.Int8PerToken),
        ("float8.cuda.gemm_float8", new Float8WeightOnlyConfig(), PerRow),
        ("float8.cuda.gemm_float8", new Float8WeightOnlyConfig { Granularity = Float8Granularity.PerTensor }, PerTensor),
        ("float8.cuda.scaled_mm", new Float8WeightOnlyConfig(), PerRow),
        ("float8.cuda.scaled_mm", new Float8WeightOnlyConfig { Granularity = Float8Granularity.PerTensor }, PerTensor),
        ("float8.cuda.scaled_mm", new Float8WeightOnlyConfig(), PerTensor),
    ];

    public static TheoryData<int, int, int> Shapes => new()
    {
        { 1, 128, 128 }, { 17, 208, 384 }, { 33, 144, 1040 }, { 64, 96, 4096 }, { 100, 272, 1152 }, { 300, 384, 2176 }, { 513, 1040, 256 },
    };

    // The reference rounds on the device with the same codes, so that no activation falls to another code than the kernel's.
    [CudaTheory]
    [MemberData(nameof(Shapes))]
    public void Products_are_those_of_the_rounded_activations(int m, int n, int k)
    {
        DeviceProducts.SkipUnlessHopper();
        foreach ((string kernel, QuantizeConfig config, ActivationScheme scheme) in Cases)
        {
            foreach (ScalarType type in ContractCases.WeightTypes)
            {
                if (kernel == "float8.cuda.scaled_mm" && (type != ScalarType.BFloat16 || m <= 128))
                {
                    continue; // which gives bfloat16 alone, and leaves few rows to our own
                }

                using DisposeScope scope = NewDisposeScope();
                using LinearExecutor executor = DeviceProducts.Executor(DeviceProducts.Weight(config, n, k, type), kernel, m, type, scheme);
                Tensor input = randn(m, k).to(type), bias = rand([n], device: CUDA).to(type);
                Tensor rounded = scheme.Round(input).cuda().to(ScalarType.Float64);
                Tensor values = executor.Weight.Dequantize(ScalarType.Float32).to(ScalarType.Float64);
                Tensor expected = rounded.mm(values.t()) + bias.to(ScalarType.Float64);

                Tensor actual = DeviceProducts.RunTwice(executor, input.cuda(), bias);

                // Integers are added exactly; 8-bit floats in the precision of the tensor cores, 14 bits.
                double least = type == ScalarType.BFloat16 ? 45 : kernel.StartsWith("int8", StringComparison.Ordinal) && type == ScalarType.Float32 ? 110 : 50;
                DeviceProducts.AssertClose(expected, actual, least, $"{kernel}, {type}, [{m}, {n}, {k}]");
            }
        }
    }

    [CudaTheory]
    [InlineData(17, 128, 256)]
    [InlineData(100, 264, 4096)]
    [InlineData(300, 1024, 1040)]
    public void The_integer_product_of_libtorch_gives_the_same_bits(int m, int n, int k)
    {
        DeviceProducts.SkipUnlessHopper();
        foreach (ScalarType type in ContractCases.WeightTypes)
        {
            using DisposeScope scope = NewDisposeScope();
            using LinearExecutor own = Executor("int8.cuda.gemm_int8"), library = Executor("int8.cuda.int_mm");
            Tensor input = randn([m, k], device: CUDA).to(type), bias = rand([n], device: CUDA);

            Tensor expected = DeviceProducts.RunTwice(own, input, bias), actual = DeviceProducts.RunTwice(library, input, bias);

            Assert.True(expected.equal(actual).all().item<bool>(), $"{type}");

            LinearExecutor Executor(string kernel) => DeviceProducts.Executor(
                DeviceProducts.Weight(new Int8WeightOnlyConfig(), n, k, type), kernel, m, type, ActivationScheme.Int8PerToken);
        }
    }

    [CudaTheory]
    [InlineData(1, 128, 128)]
    [InlineData(100, 260, 1152)]
    [InlineData(300, 384, 2176)]
    public void Integers_times_int4_are_those_of_the_weight_in_bfloat16(int m, int n, int k)
    {
        DeviceProducts.SkipUnlessHopper();
        foreach (ActivationScheme scheme in new[] { ActivationScheme.Int8PerToken, ActivationScheme.Int8PerTokenAsymmetric, ActivationScheme.Int4PerToken })
        {
            foreach (ScalarType type in ContractCases.WeightTypes)
            {
                using DisposeScope scope = NewDisposeScope();
                var config = new Int4WeightOnlyConfig { GroupSize = 32, MappingType = MappingType.Symmetric };
                using LinearExecutor executor = DeviceProducts.Executor(
                    DeviceProducts.Weight(config, n, k, type), "int4.cuda.gemm_int8", m, type, scheme);
                Tensor input = randn(m, k).to(type), bias = rand([n], device: CUDA).to(type);
                Tensor rounded = scheme.Round(input).cuda().to(ScalarType.Float64);
                Tensor expected = rounded.mm(executor.Weight.Dequantize(ScalarType.BFloat16).to(ScalarType.Float64).t()) + bias.to(ScalarType.Float64);

                Tensor actual = DeviceProducts.RunTwice(executor, input.cuda(), bias);

                // With scales in float32 a value is rounded from other bits than in Dequantize, where they agree in all but ties.
                DeviceProducts.AssertClose(expected, actual, type == ScalarType.BFloat16 ? 45 : 58, $"{scheme}, {type}, [{m}, {n}, {k}]");
            }
        }
    }
}
