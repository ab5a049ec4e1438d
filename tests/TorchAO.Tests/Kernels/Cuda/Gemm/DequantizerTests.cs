using TorchAO.Configuration;
using TorchAO.Kernels;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Gemm;

public sealed class DequantizerTests
{
    public static TheoryData<long, long> Shapes => new() { { 96, 256 }, { 5, 1024 }, { 131, 384 } };

    // A row of the unit matrix picks a column of the weight, and adds zeros to it.
    [CudaTheory]
    [MemberData(nameof(Shapes))]
    public void Every_format_has_the_bits_of_its_Dequantize(long n, long k)
    {
        var failures = new List<string>();
        foreach ((string name, QuantizeConfig config) in ContractCases.Configs)
        {
            foreach (ScalarType type in ContractCases.WeightTypes)
            {
                string? skip = ContractCases.Catalog.Handler(config).ReasonToSkip(new WeightFacts(n, k, type, DeviceType.CPU), config);
                if (skip is not null)
                {
                    continue;
                }

                using DisposeScope scope = NewDisposeScope();
                using QuantizedTensor weight = DeviceProducts.Weight(config, n, k, type);
                string kernel = $"{weight.Format}.cuda.dequantize";
                if (!ContractCases.Catalog.Format(weight.Format).Kernels.Contains(kernel))
                {
                    continue;
                }

                foreach (ScalarType result in ContractCases.WeightTypes)
                {
                    using LinearExecutor executor = DeviceProducts.Executor(weight.To(CUDA, type), kernel, k, result);
                    Tensor values = executor.Forward(eye(k, dtype: result, device: CUDA), null).t();
                    Tensor expected = weight.Dequantize(result);
                    long differing = values.not_equal(expected).sum().item<long>();
                    if (differing > 0)
                    {
                        failures.Add($"{name}, {type} to {result}: {differing} of {n * k} values differ");
                    }
                }
            }
        }

        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }
}
