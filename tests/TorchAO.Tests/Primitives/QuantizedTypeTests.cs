using TorchAO.Primitives;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

public sealed class QuantizedTypeTests
{
    [Theory]
    [InlineData("int1", -1, 0, ScalarType.Int8)]
    [InlineData("int4", -8, 7, ScalarType.Int8)]
    [InlineData("int8", -128, 127, ScalarType.Int8)]
    [InlineData("uint1", 0, 1, ScalarType.Byte)]
    [InlineData("uint7", 0, 127, ScalarType.Byte)]
    [InlineData("uint8", 0, 255, ScalarType.Byte)]
    [InlineData("int16", -32768, 32767, ScalarType.Int16)]
    [InlineData("int32", int.MinValue, int.MaxValue, ScalarType.Int32)]
    public void A_name_gives_range_and_storage(string name, double min, double max, ScalarType storage)
    {
        var type = QuantizedType.Named(name);

        Assert.Equal((name, min, max, storage), (type.Name, type.Min, type.Max, type.Storage));
    }

    [Theory]
    [InlineData("int64")]
    [InlineData("int9")]
    [InlineData("uint0")]
    [InlineData("int+4")]
    [InlineData("in")]
    [InlineData("")]
    [InlineData("float16")]
    public void Other_names_are_refused(string name) =>
        Assert.Throws<QuantizationException>(() => QuantizedType.Named(name));

    [Fact]
    public void A_range_must_lie_within_the_type_and_hold_something()
    {
        Assert.Equal((-127.0, 127.0), (QuantizedType.Int8.Within(-127, null).Min, QuantizedType.Int8.Within(-127, null).Max));
        Assert.Throws<QuantizationException>(() => QuantizedType.Int8.Within(-129, 127));
        Assert.Throws<QuantizationException>(() => QuantizedType.UInt4.Within(0, 16));
        Assert.Throws<QuantizationException>(() => QuantizedType.UInt4.Within(3, 3));
        Assert.Throws<QuantizationException>(() => QuantizedType.UInt4.Within(double.NaN, 3));
    }

    [Fact]
    public void Every_storage_that_codes_may_have_is_found_and_others_are_refused()
    {
        Assert.Same(QuantizedType.Int8, QuantizedType.Of(ScalarType.Int8));
        Assert.Same(QuantizedType.Float8E5M2, QuantizedType.Of((ScalarType)23));
        Assert.Throws<QuantizationException>(() => QuantizedType.Of(ScalarType.Int64));
    }
}
