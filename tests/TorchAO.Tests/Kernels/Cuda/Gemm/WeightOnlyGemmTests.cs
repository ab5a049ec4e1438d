using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Gemm;

public sealed class WeightOnlyGemmTests
{
    private static readonly (string Kernel, QuantizeConfig Config)[] Cases =
    [
        ("int4.cuda.gemm", new Int4WeightOnlyConfig { GroupSize = 32 }),
        ("int4.cuda.gemm", new Int4WeightOnlyConfig { GroupSize = 128 }),
        ("int4.cuda.gemm", new Int4WeightOnlyConfig { GroupSize = 64, MappingType = MappingType.Symmetric }),
        ("int4.cuda.gemm", new Int4WeightOnlyConfig { GroupSize = 32, ZeroPointDomain = ZeroPointDomain.Integer }),
        ("int4.cuda.gemm", new Int4WeightOnlyConfig { GroupSize = -1, MappingType = MappingType.Symmetric }),
        ("int8.cuda.gemm", new Int8WeightOnlyConfig()),
        ("int8.cuda.gemm", new Int8WeightOnlyConfig { GroupSize = 32 }),
        ("float8.cuda.gemm", new Float8WeightOnlyConfig()),
        ("float8.cuda.gemm", new Float8WeightOnlyConfig { Granularity = Float8Granularity.PerTensor }),
        ("float8.cuda.gemm", new Float8WeightOnlyConfig { WeightDType = ScalarTypes.Float8E5M2 }),
    ];

    // Rows on both sides of every tile's width, N and K with remainders, K short and long enough to be split.
    public static TheoryData<int, int, int> Shapes => new()
    {
        { 1, 128, 128 }, { 17, 200, 384 }, { 33, 132, 1024 }, { 64, 96, 4096 }, { 100, 260, 1152 }, { 129, 384, 2176 }, { 257, 131, 640 },
        { 512, 1024, 256 },
    };

    [CudaTheory]
    [MemberData(nameof(Shapes))]
    public void Products_are_those_of_the_dequantized_weight(int m, int n, int k)
    {
        DeviceProducts.SkipUnlessHopper();
        foreach ((string kernel, QuantizeConfig config) in Cases)
        {
            foreach (ScalarType type in new[] { ScalarType.BFloat16, ScalarType.Float16 })
            {
                foreach (ScalarType stored in new[] { type, ScalarType.Float32 })
                {
                    using DisposeScope scope = NewDisposeScope();
                    using LinearExecutor executor = DeviceProducts.Executor(DeviceProducts.Weight(config, n, k, stored), kernel, m, type);
                    Tensor input = randn([m, k], device: CUDA).to(type), bias = rand([n], device: CUDA).to(type);
                    Tensor values = executor.Weight.Dequantize(type).to(ScalarType.Float64);
                    Tensor expected = input.to(ScalarType.Float64).mm(values.t()) + bias.to(ScalarType.Float64);

                    Tensor actual = DeviceProducts.RunTwice(executor, input, bias);

                    Assert.Equal(type, actual.dtype);
                    DeviceProducts.AssertClose(
                        expected, actual, type == ScalarType.BFloat16 ? 45 : 58, $"{config}, {type} with scales in {stored}, [{m}, {n}, {k}]");
                }
            }
        }
    }

    [CudaFact]
    public void What_it_does_not_take_it_refuses_with_the_reason()
    {
        DeviceProducts.SkipUnlessHopper();
        using QuantizedTensor weight = DeviceProducts.Weight(new Int4WeightOnlyConfig { GroupSize = 32 }, 64, 96, ScalarType.BFloat16);
        using LinearExecutor executor = DeviceProducts.Executor(weight.To(CUDA, ScalarType.BFloat16), "int4.cuda.gemm", 32, ScalarType.BFloat16);

        Assert.Contains("pays up to 1024 rows", Refusal(1025, ScalarType.BFloat16), StringComparison.Ordinal);
        Assert.Contains("not Float32", Refusal(32, ScalarType.Float32), StringComparison.Ordinal);

        string Refusal(long rows, ScalarType type) => string.Join("; ", executor.Explain(rows, type).Refused);
    }
}
