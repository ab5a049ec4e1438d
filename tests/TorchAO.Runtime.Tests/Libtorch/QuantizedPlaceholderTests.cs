using System.Runtime.CompilerServices;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tests;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Libtorch;

public sealed class QuantizedPlaceholderTests
{
    public static TheoryData<long[]> Shapes
    {
        get
        {
            long[][] shapes = [[7], [3, 7], [1, 7], [0, 7], [2, 3, 7], [2, 3, 2, 7]];
            return new TheoryData<long[]>(shapes);
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void A_linear_gives_what_it_gave_before(long[] shape)
    {
        foreach (bool hasBias in new[] { false, true })
        {
            using var layer = new Replaced(inputs: 7, outputs: 5, hasBias);
            using Tensor x = randn(shape);
            using Tensor expected = layer.Original.forward(x);
            using Tensor actual = layer.Linear.forward(x);
            AssertEqual(expected, actual);
            using Tensor called = layer.Linear.call(x);
            AssertEqual(expected, called);
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 4)]
    [InlineData(4, 1)]
    [InlineData(6, 6)]
    public void Weights_with_a_single_row_or_column_and_square_ones_work_both_ways(long inputs, long outputs)
    {
        foreach (long[] batch in new long[][] { [], [3], [2, 3] })
        {
            using var layer = new Replaced(inputs, outputs, hasBias: true);
            AssertSameGradient(layer, randn([.. batch, inputs]), x => x);
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_gradient_flows_to_the_input(long[] shape)
    {
        using var layer = new Replaced(inputs: 7, outputs: 5, hasBias: true);
        AssertSameGradient(layer, randn(shape), x => x);
    }

    [Fact]
    public void Inputs_that_no_matrix_views_work_forward_and_backward()
    {
        using var layer = new Replaced(inputs: 7, outputs: 5, hasBias: true);
        AssertSameGradient(layer, randn(3, 7, 2), x => x.transpose(1, 2));
        AssertSameGradient(layer, randn(7, 4), x => x.t());
        AssertSameGradient(layer, randn(1, 1, 7), x => x.expand(2, 3, 7));
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void The_result_has_the_type_of_the_input(ScalarType type)
    {
        using var layer = new Replaced(inputs: 7, outputs: 5, hasBias: true);
        using Tensor x = randn(2, 3, 7, dtype: type);
        using Tensor y = layer.Linear.forward(x);
        Assert.Equal(type, y.dtype);
        using Tensor wide = x.to(ScalarType.Float32);
        using Tensor expected = layer.Original.forward(wide).to(type);
        AssertEqual(expected, y);
    }

    [Fact]
    public void No_grad_and_inference_mode_are_respected()
    {
        using var layer = new Replaced(inputs: 7, outputs: 5, hasBias: true);
        using Tensor x = randn(3, 7, requires_grad: true);
        using (no_grad())
        {
            using Tensor y = layer.Linear.forward(x);
            Assert.False(y.requires_grad);
        }

        using (inference_mode())
        {
            using Tensor y = layer.Linear.forward(x);
            using Tensor expected = layer.Original.forward(x);
            AssertEqual(expected, y);
        }

        using Tensor recorded = layer.Linear.forward(x);
        Assert.True(recorded.requires_grad);
    }

    [Fact]
    public void The_bias_stays_in_the_state_and_the_shape_and_type_follow_to()
    {
        using var layer = new Replaced(inputs: 7, outputs: 5, hasBias: true);
        Assert.Equal(["bias", "weight"], layer.Linear.state_dict().Keys.Order());
        Assert.Null(layer.Linear.bias);
        Assert.Equal([5, 7], layer.Linear.weight!.shape);
        layer.Linear.to(ScalarType.BFloat16);
        using Tensor x = randn(2, 7);
        using Tensor y = layer.Linear.forward(x);
        using Tensor expected = layer.Original.forward(x);
        AssertEqual(expected, y);
    }

    [Fact]
    public void A_sequential_with_two_of_them_trains_what_lies_before()
    {
        using var first = new Replaced(inputs: 7, outputs: 5, hasBias: true);
        using var second = new Replaced(inputs: 5, outputs: 2, hasBias: false);
        using Sequential model = nn.Sequential(nn.Linear(3, 7), first.Linear, nn.ReLU(), second.Linear);
        using Tensor x = randn(4, 3);
        using Tensor y = model.forward(x);
        using Tensor loss = y.sum();
        loss.backward();
        Parameter[] trained = [.. model.parameters().Where(p => p.requires_grad)];
        Assert.Equal(2, trained.Length);
        Assert.All(trained, p => Assert.NotNull(p.grad));
    }

    [Fact]
    public void An_exception_of_the_callback_reaches_the_caller_with_its_text_and_the_original()
    {
        var original = new InvalidDataException("layers.3: the group size 100 does not divide");
        using QuantizedPlaceholder placeholder = QuantizedPlaceholder.Create(
            5, 7, CPU, _ => throw original, _ => throw original);
        using Linear linear = nn.Linear(7, 5, hasBias: false);
        placeholder.InstallInto(linear);
        using Tensor x = randn(2, 7);
        for (int repeat = 0; repeat < 3; repeat++)
        {
            Exception error = Assert.ThrowsAny<Exception>(() => linear.forward(x));
            Assert.Contains("InvalidDataException: layers.3: the group size 100 does not divide", error.Message, StringComparison.Ordinal);
            Assert.Same(original, QuantizedPlaceholder.LastError);
        }
    }

    [Fact]
    public void An_exception_in_the_backward_pass_reaches_the_caller_too()
    {
        using QuantizedPlaceholder placeholder = QuantizedPlaceholder.Create(
            5, 7, CPU, x => zeros(x.size(0), 5), _ => throw new NotSupportedException("frozen codebook"));
        using Linear linear = nn.Linear(7, 5, hasBias: false);
        placeholder.InstallInto(linear);
        using Tensor x = randn(2, 7, requires_grad: true);
        using Tensor y = linear.forward(x);
        using Tensor loss = y.sum();
        Exception error = Assert.ThrowsAny<Exception>(() => loss.backward());
        Assert.Contains("frozen codebook", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_input_or_result_is_named_with_its_shape()
    {
        using var layer = new Replaced(inputs: 7, outputs: 5, hasBias: false);
        using Tensor x = randn(2, 6);
        Exception error = Assert.ThrowsAny<Exception>(() => layer.Linear.forward(x));
        Assert.Contains("F32 [2, 6]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[5, 7]", error.Message, StringComparison.Ordinal);

        using QuantizedPlaceholder wrong = QuantizedPlaceholder.Create(5, 7, CPU, _ => zeros(2, 4), g => g);
        using Linear linear = nn.Linear(7, 5, hasBias: false);
        wrong.InstallInto(linear);
        using Tensor fits = randn(2, 7);
        error = Assert.ThrowsAny<Exception>(() => linear.forward(fits));
        Assert.Contains("F32 [2, 4]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_disposed_placeholder_is_an_error_and_leaves_the_table()
    {
        int before = QuantizedDispatch.Count;
        using var layer = new Replaced(inputs: 7, outputs: 5, hasBias: false);
        Assert.Same(layer.Placeholder, QuantizedPlaceholder.Find(layer.Linear.weight!));
        layer.Placeholder.Dispose();
        layer.Placeholder.Dispose();
        Assert.Equal(before, QuantizedDispatch.Count);
        Assert.Null(QuantizedPlaceholder.Find(layer.Linear.weight!));
        using Tensor x = randn(2, 7);
        Exception error = Assert.ThrowsAny<Exception>(() => layer.Linear.forward(x));
        Assert.Contains("disposed", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_layer_keeps_its_placeholder_and_a_collected_layer_frees_it()
    {
        WeakReference callback = InstallAndForget();
        Collect();
        Collect();
        Assert.False(callback.IsAlive);
        for (int i = 0; i < 200; i++)
        {
            QuantizedPlaceholder.Create(2, 2, CPU, x => x, g => g).Dispose();
        }

        Assert.True(QuantizedDispatch.Count < 100);
    }

    [Fact]
    public void A_weight_of_another_shape_is_refused()
    {
        using QuantizedPlaceholder placeholder = QuantizedPlaceholder.Create(5, 7, CPU, x => x, g => g);
        using Linear linear = nn.Linear(5, 7);
        Assert.Throws<ArgumentException>(() => placeholder.InstallInto(linear));
    }

    [Fact]
    public void A_layer_owns_the_tensor_of_its_placeholder_and_frees_it_with_itself()
    {
        // TorchSharp counts a tensor that became a parameter for ever, so an untouched layer is the measure.
        long plain = TensorsLeftBy(_ => { });
        QuantizedPlaceholder placeholder = QuantizedPlaceholder.Create(5, 7, CPU, x => x, g => g);
        placeholder.Dispose();
        Assert.Equal(plain, TensorsLeftBy(linear =>
        {
            placeholder = QuantizedPlaceholder.Create(5, 7, CPU, x => x, g => g);
            placeholder.InstallInto(linear);
        }));

        using Linear other = nn.Linear(7, 5);
        Assert.Throws<InvalidOperationException>(() => placeholder.InstallInto(other));
        placeholder.Dispose();
        Assert.Throws<ObjectDisposedException>(() => placeholder.InstallInto(other));

        static long TensorsLeftBy(Action<Linear> replace)
        {
            long before = LiveTensors.Count();
            using (Linear linear = nn.Linear(7, 5, hasBias: false))
            {
                replace(linear);
            }

            return LiveTensors.Count() - before;
        }
    }

    [Fact]
    public async Task Several_threads_may_use_one_layer()
    {
        using var layer = new Replaced(inputs: 7, outputs: 5, hasBias: true);
        using Tensor x = randn(3, 7);
        using Tensor expected = layer.Original.forward(x);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (int i = 0; i < 100; i++)
            {
                using Tensor y = layer.Linear.forward(x);
                AssertEqual(expected, y);
            }
        })));
    }

    [Fact]
    public void Products_leave_no_tensor_behind_failing_ones_neither()
    {
        using var layer = new Replaced(inputs: 7, outputs: 5, hasBias: true);
        using Tensor x = randn(3, 7, requires_grad: true);
        using Tensor wrong = randn(3, 6);
        using Tensor batch = randn(2, 7, 3);
        Use();
        long before = LiveTensors.Count();
        for (int i = 0; i < 20; i++)
        {
            Use();
        }

        Assert.Equal(before, LiveTensors.Count());

        void Use()
        {
            using DisposeScope scope = NewDisposeScope();
            layer.Linear.forward(x).sum().backward();
            layer.Linear.forward(batch.transpose(1, 2));
            Assert.ThrowsAny<Exception>(() => layer.Linear.forward(wrong));
        }
    }

    private static void AssertSameGradient(Replaced layer, Tensor leaf, Func<Tensor, Tensor> view)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor first = leaf.detach().requires_grad_(), second = leaf.detach().clone().requires_grad_();
        Tensor expected = layer.Original.forward(view(first)), actual = layer.Linear.forward(view(second));
        AssertEqual(expected, actual);
        Tensor weights = randn(expected.shape);
        (expected * weights).sum().backward();
        (actual * weights).sum().backward();
        AssertEqual(first.grad!, second.grad!);
        leaf.Dispose();
    }

    private static void AssertEqual(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.True(expected.allclose(actual, rtol: 1e-4, atol: 1e-5), $"{Values(expected)} is not {Values(actual)}");
    }

    private static string Values(Tensor tensor)
    {
        using Tensor wide = tensor.to(ScalarType.Float32).reshape(-1);
        return $"[{string.Join(", ", wide.data<float>().ToArray())}]";
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference InstallAndForget()
    {
        object held = new();
        Func<Tensor, Tensor> callback = x => held is null ? x : x.alias();
        Linear linear = nn.Linear(2, 2, hasBias: false);
        QuantizedPlaceholder.Create(2, 2, CPU, callback, callback).InstallInto(linear);
        Collect();
        using Tensor x = ones(1, 2);
        using Tensor y = linear.forward(x);
        Assert.Equal(2, y.sum().item<float>());
        return new WeakReference(callback);
    }

#pragma warning disable RS0030 // whether a placeholder can be collected is what the test asks
    private static void Collect()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }
#pragma warning restore RS0030

    /// <summary>A linear layer and its twin, whose weight is a placeholder with the first one's numbers behind it.</summary>
    private sealed class Replaced : IDisposable
    {
        public Replaced(long inputs, long outputs, bool hasBias)
        {
            Original = nn.Linear(inputs, outputs, hasBias);
            Linear = nn.Linear(inputs, outputs, hasBias);
            Placeholder = QuantizedPlaceholder.Create(outputs, inputs, CPU, Forward, InputGradient);
            Placeholder.InstallInto(Linear);
        }

        public Linear Original { get; }

        public Linear Linear { get; }

        public QuantizedPlaceholder Placeholder { get; }

        public void Dispose()
        {
            Placeholder.Dispose();
            Linear.Dispose();
            Original.Dispose();
        }

        private Tensor Forward(Tensor x) => nn.functional.linear(x.to(ScalarType.Float32), Original.weight!, Original.bias);

        private Tensor InputGradient(Tensor g) => g.to(ScalarType.Float32).mm(Original.weight!);
    }
}
