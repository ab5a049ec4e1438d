using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Contracts;

/// <summary>Every kernel of every format, and the reference, against a product in float64 of the dequantized weight.</summary>
public sealed class LinearContractTests
{
    private static readonly ScalarType[] ActivationTypes = [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16];

    /// <summary>K: remainders of every vector width, groups of 32 where a config has them, odd ones where it has not.</summary>
    private static readonly long[] InFeatures = [1, 7, 31, 32, 33, 64, 96, 129, 160, 256, 384];

    public static TheoryData<string, string, ScalarType> KernelsAndTypes()
    {
        var cases = new TheoryData<string, string, ScalarType>();
        foreach ((string name, QuantizeConfig config) in ContractCases.Configs)
        {
            IFormat format = ContractCases.Catalog.Format(ContractCases.Catalog.Handler(config).FormatName);
            foreach (string kernel in format.Kernels.Append(ReferenceLinear.KernelName))
            {
                foreach (ScalarType type in ActivationTypes)
                {
                    cases.Add(name, kernel, type);
                }
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(KernelsAndTypes))]
    public void Each_shape_gives_the_product_of_the_dequantized_weight(string name, string kernel, ScalarType type)
    {
        foreach (long k in InFeatures)
        {
            foreach (long n in new long[] { 1, 5, 33 })
            {
                using LinearExecutor? executor = Executor(ContractCases.Configs[name], kernel, n, k, type);
                if (executor is not null)
                {
                    Check(executor, type, $"{name} {kernel} {type} K={k} N={n}");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(KernelsAndTypes))]
    public void One_input_feature_at_a_time_gives_the_weight_itself(string name, string kernel, ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        using LinearExecutor? executor = Executor(ContractCases.Configs[name], kernel, 6, 128, ScalarType.Float32);
        Assert.NotNull(executor);

        // One input feature at a time: no sum, so that only the rounding of one product is left, and in the narrow types
        // that of the weight's own parts, which may be larger than the weight.
        Tensor result = executor.Forward(eye(128, dtype: type), null);

        // A row of the unit matrix has one code, its largest, except that a symmetric grid may cut it by half a step.
        Tensor ones = executor.Activation?.Round(eye(128, dtype: type)) ?? eye(128);
        Tensor expected = ones.mm(executor.Weight.Dequantize(ScalarType.Float32).t());
        double error = (result.to(ScalarType.Float32) - expected).abs().max().item<float>();
        double largest = expected.abs().max().item<float>();
        Assert.True(error <= largest * Tolerances.QuantizedProduct(type), $"{name} {kernel} {type}: off by {error:g3} at {largest:g3}");
    }

    private static void Check(LinearExecutor executor, ScalarType type, string what)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor inputs = ContractCases.Weight(9, executor.Weight.Shape[1], type);
        Tensor bias = ContractCases.Weight(1, executor.Weight.Shape[0], type).view(-1);
        Tensor weight = executor.Weight.Dequantize(ScalarType.Float32).to(ScalarType.Float64);
        foreach (long m in new long[] { 1, 2, 3, 4, 5, 8, 9 })
        {
            Tensor input = inputs.narrow(0, 0, m);
            Tensor wide = (executor.Activation?.Round(input) ?? input).to(ScalarType.Float64);
            Tensor want = nn.functional.linear(wide, weight);

            // A sum of K rounded products: the bound grows with the sum of magnitudes, not with the result.
            Tensor size = nn.functional.linear(wide.abs(), weight.abs());

            // Only kernels of fixed point may move activations.
            bool isFixedPoint = executor.Explain(m, type).Kernel is var kernel
                && (kernel.EndsWith(".gemv", StringComparison.Ordinal) || kernel.EndsWith(".gemm", StringComparison.Ordinal));
            Tensor moved = wide.abs().amax([1], keepdim: true) * weight.abs().sum(1).unsqueeze(0) * (isFixedPoint ? 1 : 0);

            AssertWithin(want, executor.Forward(input, null), size, moved, $"{what} M={m}");
            AssertWithin(want + bias, executor.Forward(input, bias), size + bias.abs(), moved, $"{what} M={m} with bias");
        }
    }

    private static LinearExecutor? Executor(QuantizeConfig config, string kernel, long n, long k, ScalarType type)
    {
        IQuantizeHandler handler = ContractCases.Catalog.Handler(config);
        if (handler.ReasonToSkip(new WeightFacts(n, k, type, DeviceType.CPU), config) is not null)
        {
            return null;
        }

        IFormat format = ContractCases.Catalog.Format(handler.FormatName);
        QuantizedTensor weight = ContractCases.Quantize(config, n, k, type);
        return kernel == ReferenceLinear.KernelName
            ? new LinearExecutor<QuantizedTensor>(weight, [], handler.Activation(config))
            : format.CreateExecutor(weight, kernel, handler.Activation(config));
    }

    private static void AssertWithin(Tensor expected, Tensor actual, Tensor magnitude, Tensor moved, string what)
    {
        Assert.Equal(expected.shape, actual.shape);
        Tensor error = (expected - actual.to(ScalarType.Float64)).abs();
        Tensor allowed = (magnitude * Tolerances.QuantizedProduct(actual.dtype)) + (moved * Tolerances.FixedPoint);
        Assert.True(
            (error <= allowed).all().item<bool>(),
            $"{what}: off by {(error / allowed).max().item<double>():g3} times the tolerance");
    }
}
