using TorchAO.Runtime.Libtorch;
using TorchAO.Tests;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Libtorch;

public sealed class CudaPlaceholderTests
{
    [CudaFact]
    public void A_linear_on_the_device_gives_the_product_and_the_gradient_of_a_placeholder()
    {
        using DisposeScope scope = NewDisposeScope();
        Linear original = nn.Linear(7, 5, device: CUDA), linear = nn.Linear(7, 5, device: CUDA);
        using QuantizedPlaceholder placeholder = QuantizedPlaceholder.Create(
            5, 7, CUDA, x => nn.functional.linear(x, original.weight!, original.bias), g => g.mm(original.weight!));
        placeholder.InstallInto(linear);
        foreach (long[] shape in new long[][] { [7], [3, 7], [2, 3, 7], [2, 3, 2, 7] })
        {
            Tensor first = randn(shape, device: CUDA, requires_grad: true);
            Tensor second = first.detach().clone().requires_grad_();
            Tensor expected = original.forward(first), actual = linear.forward(second);
            Assert.True(expected.allclose(actual, rtol: 1e-4, atol: 1e-5), $"forward of {shape.Length} dimensions");
            expected.sum().backward();
            actual.sum().backward();
            Assert.True(first.grad!.allclose(second.grad!, rtol: 1e-4, atol: 1e-5), $"gradient of {shape.Length} dimensions");
        }
    }

    [CudaFact]
    public void An_exception_of_the_callback_crosses_the_device_kernels_too()
    {
        using QuantizedPlaceholder placeholder = QuantizedPlaceholder.Create(
            5, 7, CUDA, _ => throw new InvalidDataException("group size"), g => g);
        using Linear linear = nn.Linear(7, 5, hasBias: false, device: CUDA);
        placeholder.InstallInto(linear);
        using Tensor x = randn(2, 7, device: CUDA);
        Exception error = Assert.ThrowsAny<Exception>(() => linear.forward(x));
        Assert.Contains("InvalidDataException: group size", error.Message, StringComparison.Ordinal);
        Assert.IsType<InvalidDataException>(QuantizedPlaceholder.LastError);
    }

    [CudaFact]
    public void Operators_by_name_take_tensors_of_the_device()
    {
        using Tensor codes = ones(32, 32, dtype: ScalarType.Int8, device: CUDA);
        using Tensor product = Operator.Find("aten::_int_mm").Call(codes, codes);
        using Tensor sum = product.sum();
        Assert.Equal(32L * 32 * 32, sum.item<long>());
    }
}
