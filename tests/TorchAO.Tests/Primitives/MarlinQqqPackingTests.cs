using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

/// <summary>The order in which Marlin's kernel for int8 activations reads a weight.</summary>
public sealed class MarlinQqqPackingTests
{
    [Theory]
    [InlineData(64, 128, -1)]
    [InlineData(128, 64, -1)]
    [InlineData(192, 256, -1)]
    [InlineData(64, 256, 128)]
    [InlineData(320, 384, 128)]
    public void Codes_and_scales_come_back(long n, long k, long groupSize)
    {
        using DisposeScope scope = NewDisposeScope();
        using Generator generator = new((ulong)(n + k), CPU);
        using QqqWeight weight = QqqQuantization.Quantize(randn([n, k], generator: generator), groupSize);

        using MarlinQqqWeight packed = MarlinQqqPacking.Pack(weight.Codes, weight.GroupScale, weight.ChannelScale);
        (Tensor codes, Tensor groupScale, Tensor channelScale) = MarlinQqqPacking.Unpack(packed);

        Assert.Equal([k / 16, 2 * n], packed.Codes.shape);
        Assert.True(codes.equal(weight.Codes).all().item<bool>());
        Assert.Equal(weight.GroupScale.shape, groupScale.shape);
        Assert.True(groupScale.equal(weight.GroupScale).all().item<bool>());
        Assert.True(channelScale.equal(weight.ChannelScale).all().item<bool>());
    }

    [Theory]
    [InlineData(true, 0, 0, 0, 0)]
    [InlineData(true, 0, 1, 0, 16)]
    [InlineData(true, 8, 0, 0, 8)]
    [InlineData(true, 16, 0, 1, 0)]
    [InlineData(true, 0, 4, 4, 0)]
    [InlineData(true, 1, 0, 16, 0)]
    [InlineData(false, 0, 0, 0, 4)]
    [InlineData(false, 8, 0, 0, 0)]
    public void A_code_stands_in_the_word_of_its_thread(bool isGrouped, long n, long k, long word, int bit)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = zeros(64, 128, ScalarType.Int32);
        codes[n, k] = tensor(7);
        Tensor groupScale = isGrouped ? ones(64, 1, ScalarType.Float16) : empty(0, ScalarType.Float16);

        using MarlinQqqWeight packed = MarlinQqqPacking.Pack(codes, groupScale, ones(64, 1));

        Assert.Equal(7 << bit, packed.Codes[0, word].item<int>());
        Assert.Equal(1, packed.Codes.ne(0).sum().item<long>());
    }

    [Fact]
    public void Shapes_that_no_kernel_takes_are_refused_by_name()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor none = empty(0, ScalarType.Float16);

        Says(() => Pack(zeros(64, 64, ScalarType.Int32), none, ones(64, 1)), "a weight [64, 64], expected N a multiple of 64");
        Says(() => Pack(zeros(96, 128, ScalarType.Int32), none, ones(96, 1)), "a weight [96, 128]");
        Says(() => Pack(zeros(64, 128), none, ones(64, 1)), "codes are Float32 [64, 128], expected a matrix of integers");
        Says(() => Pack(zeros(64, 128, ScalarType.Int32), none, ones(64)), "channel scales have shape [64], expected [64, 1]");
        Says(
            () => Pack(zeros(64, 256, ScalarType.Int32), ones(64, 4, ScalarType.Float16), ones(64, 1)),
            "group scales have shape [64, 4], expected [64, 2]; the kernel takes groups of 128");
        Says(
            () => MarlinQqqPacking.Unpack(new MarlinQqqWeight(zeros(8, 128, ScalarType.Int32), none, ones(64, 1))),
            "channel scales have shape [64, 1], expected [1, 64]");
    }

    private static void Pack(Tensor codes, Tensor groupScale, Tensor channelScale) =>
        MarlinQqqPacking.Pack(codes, groupScale, channelScale).Dispose();

    private static void Says(Action action, string words) =>
        Assert.Contains(words, Assert.Throws<QuantizationException>(action).Message, StringComparison.Ordinal);
}
