using TorchAO.Formats.Int8;
using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.Int8;

public sealed class Int8GridTests
{
    [Fact]
    public void The_largest_value_clips_by_half_a_step_and_zero_is_exact()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = tensor(new float[] { 127.5f, -127.5f, 0, 1.4f }).view(1, 4);
        var grid = new Int8Grid(4);
        using QParams qparams = grid.ChooseQParams(weight);

        Tensor codes = grid.Quantize(weight, qparams);

        Assert.Equal(1f, qparams.Scale.item<float>());
        Assert.Equal(new sbyte[] { 127, -128, 0, 1 }, codes.data<sbyte>().ToArray());
    }

    [Fact]
    public void Each_group_has_its_own_scale()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = tensor(new float[] { 1, 2, 100, 200 }).view(1, 4);
        using QParams qparams = new Int8Grid(2).ChooseQParams(weight);

        Assert.Equal([1, 2], qparams.Scale.shape);
        Assert.Equal(new[] { 2 / 127.5f, 200 / 127.5f }, qparams.Scale.data<float>().ToArray());
    }
}
