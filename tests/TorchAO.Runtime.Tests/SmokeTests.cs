using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests;

public sealed class SmokeTests
{
    [Fact]
    public void Tensor_arithmetic_works_on_this_machine()
    {
        using Tensor x = ones(2, 3);
        using Tensor sum = x.sum();
        Assert.Equal(6f, sum.item<float>());
    }

    [Fact]
    public void An_error_inside_libtorch_arrives_as_an_exception()
    {
        using Tensor a = ones(2, 3);
        using Tensor b = ones(2, 3);
        Assert.ThrowsAny<Exception>(() => a.mm(b));
    }
}
