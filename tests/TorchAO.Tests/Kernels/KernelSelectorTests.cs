using TorchAO.Kernels;
using TorchAO.Tests.Contracts.Ternary;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels;

public sealed class KernelSelectorTests
{
    private static readonly LinearProblem OneRow = new(DeviceType.CPU, ScalarType.Float32, 1, 6, 16, 16);

    [Theory]
    [InlineData(null, "ternary.cpu.gemv")]
    [InlineData("", "ternary.cpu.gemv")]
    [InlineData("ternary.cpu.gemv", "ternary.cpu.gemv")]
    [InlineData("another.format.kernel", "ternary.cpu.gemv")]
    [InlineData("reference", "reference (ternary.cpu.gemv: TORCHAO_KERNEL asks for reference)")]
    public void A_variable_may_ask_for_a_kernel_of_the_format(string? variable, string expected)
    {
        string? before = Environment.GetEnvironmentVariable(KernelSelector.OverrideVariable);
        Environment.SetEnvironmentVariable(KernelSelector.OverrideVariable, variable);
        try
        {
            Assert.Equal(expected, new TernaryFormat().Explain(OneRow).ToString());
        }
        finally
        {
            Environment.SetEnvironmentVariable(KernelSelector.OverrideVariable, before);
        }
    }
}
