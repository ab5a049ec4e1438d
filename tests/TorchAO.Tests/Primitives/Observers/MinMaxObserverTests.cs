using TorchAO.Primitives.Observers;
using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives.Observers;

public sealed class MinMaxObserverTests
{
    private static readonly AffineScheme Int8 = new(QuantizedType.Int8);

    [Fact]
    public void RangesCoverEveryTensorOfAnyShape()
    {
        using DisposeScope scope = NewDisposeScope();
        using var observer = new MinMaxObserver(new PerTensor(), Int8);
        observer.Observe(tensor(new float[] { 1, -3 }));
        observer.Observe(tensor(new float[] { 5, 0, 2, 1 }).reshape(2, 2));
        observer.Observe(zeros(0, 4));

        Assert.Equal(-3f, observer.Min.item<float>());
        Assert.Equal(5f, observer.Max.item<float>());
    }

    [Fact]
    public void One_row_after_several_has_as_many_blocks()
    {
        using DisposeScope scope = NewDisposeScope();
        using var whole = new MinMaxObserver(new PerTensor(), Int8);
        using var channels = new MinMaxObserver(new PerAxis(-1), Int8);
        foreach (Tensor values in new[] { tensor(new float[] { 1, -3, 2, 4 }).reshape(2, 2), tensor(new float[] { 7, 0 }).reshape(1, 2) })
        {
            whole.Observe(values);
            channels.Observe(values);
        }

        Assert.Equal((-3f, 7f), (whole.Min.item<float>(), whole.Max.item<float>()));
        Assert.Equal([7f, 4f], channels.Max.data<float>().ToArray());
    }

    [Fact]
    public void AnObserverThatSawNothingRefuses()
    {
        using var observer = new MinMaxObserver(new PerTensor(), Int8);
        QuantizationException error = Assert.Throws<QuantizationException>(observer.CalculateQParams);
        Assert.Contains("before it saw a tensor", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void ValuesThatAreNotFiniteRefuseEvenWhenLaterTensorsAreFine(float value)
    {
        using DisposeScope scope = NewDisposeScope();
        using var observer = new MinMaxObserver(new PerTensor(), Int8);
        observer.Observe(tensor(new[] { 1f, value }));
        observer.Observe(ones(3));
        QuantizationException error = Assert.Throws<QuantizationException>(observer.CalculateQParams);
        Assert.Contains("not finite", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnotherNumberOfChannelsRefuses()
    {
        using DisposeScope scope = NewDisposeScope();
        using var observer = new MinMaxObserver(new PerAxis(0), Int8);
        observer.Observe(ones(4, 2));
        QuantizationException error = Assert.Throws<QuantizationException>(() => observer.Observe(ones(3, 2)));
        Assert.Contains("[3], expected F32 [4]", error.Message, StringComparison.Ordinal);
        Assert.Equal(4, observer.Min.numel());
    }

    [Fact]
    public void RangesDoNotFollowLaterChangesOfTheObservedTensor()
    {
        using DisposeScope scope = NewDisposeScope();
        using var observer = new MinMaxObserver(new PerGroup(1), Int8);
        Tensor values = ones(2, 2);
        observer.Observe(values);
        values.fill_(7);
        Assert.Equal(1f, observer.Max.max().item<float>());
    }
}
