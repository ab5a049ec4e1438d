using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Quantize;

public sealed class WeightPlanTests
{
    [Fact]
    public void Weights_on_the_cpu_have_no_pass()
    {
        using Tensor weight = ones(2, 8);

        Assert.Equal("passes run on CUDA devices, not on CPU", WeightCoder.ReasonToRefuse(weight));
    }

    [Fact]
    public void Zero_points_that_no_kernel_writes_are_refused()
    {
        AffineScheme scheme = new(QuantizedType.UInt4) { Mapping = MappingType.Asymmetric, ZeroPointType = ScalarType.Int8, Epsilon = 1e-6 };

        string message = Assert.Throws<ArgumentException>(
            () => WeightPlan.Integers(scheme, QuantizedType.UInt4, 4, CodeLayout.Nibbles, 32)).Message;

        Assert.Contains("Int8, expected none, values in the weight's type, or codes in uint8 or int32", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Casts_want_a_device_and_a_float8_type()
    {
        using Tensor values = ones(8);

        Assert.Contains("expected a CUDA device", Assert.Throws<ArgumentException>(
            () => CudaFloat8Cast.Run(values, ScalarTypes.Float8E4M3)).Message, StringComparison.Ordinal);
        Assert.Contains("expected F8_E4M3 or F8_E5M2", Assert.Throws<ArgumentException>(
            () => CudaFloat8Cast.Run(values, ScalarType.Int8)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3, 4, 45, 18)]
    [InlineData(8, 4, 45, 48)]
    [InlineData(3, 3, 45, 17)]
    [InlineData(4, 2, 45, 23)]
    [InlineData(8, 1, 45, 45)]
    public void Rows_have_the_bytes_of_their_layout(int bits, int layout, long k, long bytes)
    {
        using WeightPlan plan = new(CodeRule.Steps, ScaleChoice.Symmetric, bits, (CodeLayout)layout, 32);

        Assert.Equal(bytes, plan.RowBytes(k));
    }
}
