using TorchAO.Configuration;
using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Gemm;

/// <summary>Products of one named kernel on the device, and the same in float64.</summary>
internal static class DeviceProducts
{
    /// <summary>Skips where a kernel is for another device than this one.</summary>
    public static void SkipUnlessHopper() => Assert.SkipUnless(DeviceKernels.HopperAbsence is null, DeviceKernels.HopperAbsence ?? "");

    /// <summary>Makes an executor whose only kernel is the named one, and demands that it takes the problem.</summary>
    public static LinearExecutor Executor(
        QuantizedTensor weight, string kernel, long rows, ScalarType type, ActivationScheme? activation = null)
    {
        LinearExecutor executor = ContractCases.Catalog.Format(weight.Format).CreateExecutor(weight, kernel, activation);
        KernelChoice choice = executor.Explain(rows, type);
        Assert.True(choice.Kernel == kernel, $"{kernel} refuses: {string.Join("; ", choice.Refused)}");
        return executor;
    }

    /// <summary>Quantizes a normally distributed weight on the CPU and moves it to the device.</summary>
    public static QuantizedTensor Weight(QuantizeConfig config, long n, long k, ScalarType type)
    {
        using QuantizedTensor here = ContractCases.Quantize(config, n, k, type);
        return here.To(CUDA, type);
    }

    /// <summary>Runs an executor twice, into memory that was full of NaN, and demands the same bits both times.</summary>
    public static Tensor RunTwice(LinearExecutor executor, Tensor input, Tensor? bias)
    {
        Poison(input.size(0), executor.Weight.Shape[0], input.dtype);
        Tensor first = executor.Forward(input, bias);
        using Tensor second = executor.Forward(input, bias);
        Assert.True(first.equal(second).all().item<bool>(), "two runs differ, or are NaN");
        return first;
    }

    /// <summary>Demands a ratio of signal to noise in decibels.</summary>
    public static void AssertClose(Tensor expected, Tensor actual, double least, string name)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor exact = expected.to(ScalarType.Float64), error = exact - actual.to(ScalarType.Float64);
        double noise = 10 * Math.Log10(exact.square().sum().item<double>() / Math.Max(error.square().sum().item<double>(), 1e-300));
        Assert.True(noise >= least, $"{name}: {noise:f1} dB, expected at least {least} dB");
    }

    // libtorch gives freed memory to the next tensor of the same size.
    private static void Poison(long m, long n, ScalarType type)
    {
        using Tensor poison = full([m, n], double.NaN, dtype: type, device: CUDA);
        cuda.synchronize();
    }
}
