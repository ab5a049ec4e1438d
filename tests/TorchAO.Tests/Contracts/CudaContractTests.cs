using TorchAO.Algorithms.AutoQuant;
using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Kernels;
using TorchAO.Lifecycle;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Contracts;

/// <summary>Every config on tensors of a CUDA device, against the same config on the CPU.</summary>
public sealed class CudaContractTests
{
    private const long N = 96;
    private const long K = 256;

    /// <remarks>
    /// Some configs have no pass on the device but operators. libtorch divides by a number on the CPU and multiplies by its reciprocal on
    /// CUDA, so their scales differ in their last bit, and a value on the border of two codes falls to either by that bit.
    /// </remarks>
    [CudaFact]
    public void Weights_quantized_on_the_device_stand_for_the_same_values() => ForEachConfig((name, config, type) =>
    {
        using Tensor weight = ContractCases.Weight(N, K, type), onDevice = weight.cuda();
        using QuantizedTensor expected = ContractCases.Catalog.Handler(config).Quantize(weight, config);
        using QuantizedTensor actual = ContractCases.Catalog.Handler(config).Quantize(onDevice, config);

        Assert.Equal(DeviceType.CUDA, actual.Device.type);
        AssertClose(name, expected.Dequantize(ScalarType.Float32), actual.Dequantize(ScalarType.Float32).cpu(), least: 25);
    });

    [CudaFact]
    public void What_moves_to_the_device_and_back_keeps_its_bits() => ForEachConfig((_, config, type) =>
    {
        using QuantizedTensor tensor = ContractCases.Quantize(config, N, K, type);
        using QuantizedTensor there = tensor.To(CUDA, type), back = there.To(CPU, type);

        ContractCases.AssertSame(tensor, back);
    });

    [CudaFact]
    public void A_part_cut_on_the_device_is_the_part_cut_before() => ForEachConfig((_, config, type) =>
    {
        using QuantizedTensor tensor = ContractCases.Quantize(config, N, K, type), there = tensor.To(CUDA, type);
        using QuantizedTensor expected = tensor.Narrow(0, 32, 16), part = there.Narrow(0, 32, 16), actual = part.To(CPU, type);

        ContractCases.AssertSame(expected, actual);
    });

    [CudaFact]
    public void A_layer_on_the_device_computes_what_it_does_on_the_cpu() => ForEachConfig((name, config, type) =>
    {
        using QuantizedTensor tensor = ContractCases.Quantize(config, N, K, type);
        ActivationScheme? activation = ContractCases.Catalog.Handler(config).Activation(config);
        using LinearExecutor here = ContractCases.Catalog.Format(tensor.Format).CreateExecutor(
            tensor.To(CPU, type), QuantizeOptions.ReferenceKernel, activation);
        using LinearExecutor there = here.To(CUDA, type);
        using Tensor bias = rand(N, dtype: type), biasThere = bias.cuda();
        foreach (long rows in new long[] { 1, 5, 64 })
        {
            using Tensor input = randn(rows, K).to(type), inputThere = input.cuda();
            using Tensor expected = here.Forward(input, bias), actual = there.Forward(inputThere, biasThere);
            Assert.Equal((type, DeviceType.CUDA), (actual.dtype, actual.device_type));

            // A rounded activation on the border of two codes may fall to the other side: 4-bit codes are a tenth apart.
            AssertClose(name, expected.to(ScalarType.Float32), actual.cpu().to(ScalarType.Float32), activation is null ? 40 : 25);
        }
    });

    [CudaFact]
    public void A_model_on_the_device_is_calibrated_measured_and_taken_back()
    {
        using nn.Module<Tensor, Tensor> calibrated = nn.Sequential(nn.Linear(K, N), nn.ReLU(), nn.Linear(N, 32)).cuda();
        using Tensor input = randn([7, K], device: CUDA), exact = calibrated.forward(input);
        calibrated.Quantize(new Float8StaticActivationFloat8WeightConfig(), new() { Calibration = calibrated.Calibrate(input) });
        AssertClose("static float8", exact.cpu(), calibrated.forward(input).cpu(), least: 20);

        using nn.Module<Tensor, Tensor> model = nn.Sequential(nn.Linear(K, N), nn.ReLU(), nn.Linear(N, 32)).cuda();
        AutoQuantReport report = model.AutoQuantize(input, new() { TieMargin = 1, MeasuringTime = TimeSpan.FromMilliseconds(5) });
        Assert.All(report.Layers, layer => Assert.Equal(3, layer.Timings.Count(timing => timing.Milliseconds > 0)));

        model.Dequantize();
        Assert.All(model.parameters(), parameter => Assert.Equal(DeviceType.CUDA, parameter.device_type));
    }

    private static void ForEachConfig(Action<string, QuantizeConfig, ScalarType> check)
    {
        var failures = new List<string>();
        foreach ((string name, QuantizeConfig config) in ContractCases.Configs)
        {
            foreach (ScalarType type in ContractCases.WeightTypes)
            {
                if (ContractCases.Catalog.Handler(config).ReasonToSkip(new WeightFacts(N, K, type, DeviceType.CUDA), config) is not null)
                {
                    continue;
                }

                random.manual_seed(1);
                try
                {
                    using DisposeScope scope = NewDisposeScope();
                    check(name, config, type);
                }
                catch (Exception e)
                {
                    failures.Add($"{name}, {type}: {e.GetType().Name}: {e.Message.ReplaceLineEndings(" ")}");
                }
            }
        }

        Assert.True(failures.Count == 0, $"{failures.Count} failures:\n{string.Join('\n', failures)}");
    }

    private static void AssertClose(string name, Tensor expected, Tensor actual, double least)
    {
        Tensor exact = expected.to(ScalarType.Float64), error = exact - actual.to(ScalarType.Float64);
        double noise = 10 * Math.Log10(exact.square().sum().item<double>() / Math.Max(error.square().sum().item<double>(), 1e-300));
        Assert.True(noise >= least, $"{name}: {noise:f1} dB, expected at least {least} dB");
    }
}
