using TorchAO.Formats;
using TorchAO.Formats.Int8;
using TorchAO.Kernels;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchAO.Tests.Contracts.Ternary;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels;

public sealed class LinearExecutorTests
{
    [Theory]
    [InlineData(new long[] { 16 }, new long[] { 6 })]
    [InlineData(new long[] { 5, 16 }, new long[] { 5, 6 })]
    [InlineData(new long[] { 2, 3, 16 }, new long[] { 2, 3, 6 })]
    [InlineData(new long[] { 2, 1, 3, 16 }, new long[] { 2, 1, 3, 6 })]
    [InlineData(new long[] { 0, 16 }, new long[] { 0, 6 })]
    [InlineData(new long[] { 2, 0, 16 }, new long[] { 2, 0, 6 })]
    public void Activations_of_any_rank_give_what_a_float_layer_gives(long[] shape, long[] expectedShape)
    {
        using DisposeScope scope = NewDisposeScope();
        using LinearExecutor executor = Int8(6, 16);
        Tensor input = arange(shape.Aggregate(1L, (a, b) => a * b)).to(ScalarType.Float32).view(shape) / 7;
        Tensor bias = arange(6).to(ScalarType.Float32);

        Tensor result = executor.Forward(input, bias);

        Assert.Equal(expectedShape, result.shape);
        Assert.True(result.allclose(nn.functional.linear(input, executor.Weight.Dequantize(), bias), 1e-5, 1e-4));
    }

    [Fact]
    public void A_strided_input_gives_what_its_copy_gives()
    {
        using DisposeScope scope = NewDisposeScope();
        using LinearExecutor executor = Int8(6, 16);
        Tensor strided = ContractCases.Weight(16, 5).t();

        ContractCases.AssertEqual(executor.Forward(strided.contiguous(), null), executor.Forward(strided, null));
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.Float64)]
    public void The_result_has_the_type_of_the_activations(ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        using LinearExecutor executor = Int8(6, 16);

        Tensor result = executor.Forward(ones(2, 16, dtype: type), ones(6));

        Assert.Equal(type, result.dtype);
    }

    [Fact]
    public void Wrong_activations_are_named()
    {
        using DisposeScope scope = NewDisposeScope();
        using LinearExecutor executor = Int8(6, 16);

        Says(() => executor.Forward(ones(2, 15), null), "must be 16", "[2, 15]");
        Says(() => executor.Forward(tensor(1f), null), "must be 16", "[]");
        Says(() => executor.Forward(ones(2, 16, dtype: ScalarType.Int32), null), "Int32", "Float32");
        Says(() => executor.Forward(ones(2, 16), ones(5)), "bias", "[5]", "[6]");
        Says(() => executor.Forward(ones(2, 16, device: torch.device("meta")), null), "meta", "cpu");
    }

    [Fact]
    public void No_grad_and_inference_mode_record_nothing()
    {
        using DisposeScope scope = NewDisposeScope();
        using LinearExecutor executor = Int8(6, 16);
        Tensor input = ones(2, 16, requires_grad: true);
        using (no_grad())
        {
            Assert.False(executor.Forward(input, null).requires_grad);
        }

        using (inference_mode())
        {
            Assert.False(executor.Forward(input, null).requires_grad);
        }

        Assert.True(executor.Forward(input, null).requires_grad);
        Assert.False(executor.Forward(ones(2, 16), null).requires_grad);
    }

    [Theory]
    [InlineData(new long[] { 16 })]
    [InlineData(new long[] { 5, 16 })]
    [InlineData(new long[] { 2, 3, 16 })]
    [InlineData(new long[] { 0, 16 })]
    public void Gradients_to_input_and_bias_equal_the_float_layers(long[] shape)
    {
        using DisposeScope scope = NewDisposeScope();
        using LinearExecutor executor = Int8(6, 16);
        Tensor values = randn(shape, generator: new Generator(3, CPU));
        Tensor input = values.clone().requires_grad_();
        Tensor bias = ones(6).requires_grad_();
        Tensor floatInput = values.clone().requires_grad_();
        Tensor floatBias = ones(6).requires_grad_();

        executor.Forward(input, bias).square().sum().backward();
        nn.functional.linear(floatInput, executor.Weight.Dequantize(), floatBias).square().sum().backward();

        Assert.True(input.grad!.allclose(floatInput.grad!, rtol: 1e-4, atol: 1e-5)); // sums in another order
        Assert.True(bias.grad!.allclose(floatBias.grad!, rtol: 1e-4, atol: 1e-5));
    }

    [Fact]
    public void A_bias_alone_may_be_trained()
    {
        using DisposeScope scope = NewDisposeScope();
        using LinearExecutor executor = Int8(6, 16);
        Tensor bias = zeros(6).requires_grad_();

        executor.Forward(ones(3, 16), bias).sum().backward();

        ContractCases.AssertEqual(full(6, 3f), bias.grad!);
    }

    [Fact]
    public void The_first_kernel_that_takes_a_problem_runs_and_the_others_say_why_not()
    {
        using LinearExecutor executor = Ternary(6, 16);

        Assert.Equal("ternary.cpu.gemv", executor.Explain(1, ScalarType.Float32).ToString());
        KernelChoice choice = executor.Explain(2, ScalarType.Float32);
        Assert.True(choice.IsReference);
        Assert.Equal("reference (ternary.cpu.gemv: 2 rows, not 1)", choice.ToString());
    }

    [Fact]
    public void Rows_and_types_that_change_from_call_to_call_find_their_kernel()
    {
        using DisposeScope scope = NewDisposeScope();
        using LinearExecutor executor = Ternary(6, 16);
        foreach ((long rows, ScalarType type) in new[]
        {
            (1L, ScalarType.Float32), (3L, ScalarType.Float32), (1L, ScalarType.Float32), (1L, ScalarType.BFloat16),
            (1L, ScalarType.Float32),
        })
        {
            Tensor input = ContractCases.Weight(rows, 16, type);

            Tensor result = executor.Forward(input, null);

            Tensor expected = nn.functional.linear(input, executor.Weight.Dequantize(type));
            Assert.True(result.allclose(expected, rtol: 1e-5, atol: 1e-5), $"{rows} rows of {type}");
        }
    }

    [Fact]
    public void Threads_that_share_an_executor_get_the_same_results()
    {
        using LinearExecutor executor = Ternary(32, 64);
        using Tensor one = ContractCases.Weight(1, 64);
        using Tensor three = ContractCases.Weight(3, 64);
        using Tensor expectedOne = executor.Forward(one, null);
        using Tensor expectedThree = executor.Forward(three, null);

        Parallel.For(0, 200, i =>
        {
            using Tensor result = executor.Forward(i % 2 == 0 ? one : three, null);
            Assert.True(result.bytes.SequenceEqual((i % 2 == 0 ? expectedOne : expectedThree).bytes));
        });
    }

    [Fact]
    public void A_copy_on_a_device_outlives_the_original()
    {
        using DisposeScope scope = NewDisposeScope();
        LinearExecutor executor = Int8(6, 16);
        Tensor expected = executor.Forward(ones(1, 16), null);
        LinearExecutor copy = executor.To(CPU, ScalarType.BFloat16);
        executor.Dispose();

        ContractCases.AssertEqual(expected, copy.Forward(ones(1, 16), null));
        Assert.Equal(ScalarType.BFloat16, copy.Weight.DType);
        copy.Dispose();
    }

    [Fact]
    public void A_kernel_that_the_format_lacks_is_an_error_that_lists_the_others()
    {
        using QuantizedTensor weight = ContractCases.Quantize(new TernaryConfig(), 2, 4);

        Says(() => new TernaryFormat().CreateExecutor(weight, "ternary.cuda"), "'ternary.cuda'", "ternary.cpu.gemv");
    }

    [Fact]
    public void A_thousand_cycles_of_forward_and_backward_leave_no_tensor_behind()
    {
        Cycle();
        long before = LiveTensors.Count();
        for (int i = 0; i < 1000; i++)
        {
            Cycle();
        }

        // Autograd nodes of the binding live until their graph is collected, hence the few that may still stand.
        Assert.InRange(LiveTensors.Count() - before, -before, 8);
    }

    private static void Cycle()
    {
        using DisposeScope scope = NewDisposeScope();
        using LinearExecutor executor = Int8(4, 8);
        Tensor input = ones(2, 8, requires_grad: true);
        executor.Forward(input, null).sum().backward();
        input.grad!.Dispose();
    }

    private static LinearExecutor Int8(long n, long k) =>
        BuiltInFormats.Catalog.Format("int8").CreateExecutor(ContractCases.Quantize(new Int8WeightOnlyConfig(), n, k));

    private static LinearExecutor Ternary(long n, long k) =>
        new TernaryFormat().CreateExecutor(ContractCases.Quantize(new TernaryConfig(), n, k));

    private static void Says(Action action, params string[] words)
    {
        var error = Assert.Throws<QuantizationException>(action);
        Assert.All(words, word => Assert.Contains(word, error.Message, StringComparison.Ordinal));
    }
}
