using TorchAO.Runtime.Libtorch;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Libtorch;

public sealed class ScalarTypesTests
{
    public static TheoryData<string> Names => [.. ScalarTypes.All.Select(info => info.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_tensor_of_the_type_has_the_bytes_that_the_table_says(string name)
    {
        ScalarTypeInfo info = ScalarTypes.Named(name)!;
        using Tensor tensor = zeros(3, dtype: info.Type);
        Assert.Equal(info.Bytes * 3, tensor.bytes.Length);
        Assert.Equal(info.Type, tensor.dtype);
    }

    [Theory]
    [InlineData("F64")]
    [InlineData("F32")]
    [InlineData("F16")]
    [InlineData("BF16")]
    [InlineData("F8_E4M3")]
    [InlineData("F8_E5M2")]
    [InlineData("F8_E8M0")]
    public void The_largest_value_survives_a_cast_and_twice_of_it_does_not(string name)
    {
        ScalarTypeInfo info = ScalarTypes.Named(name)!;
        Assert.Equal(info.Largest, Cast(info.Largest, info.Type));
        Assert.False(double.IsFinite(Cast(info.Largest * 2, info.Type)));
    }

    [Theory]
    [InlineData("F64")]
    [InlineData("F32")]
    [InlineData("F16")]
    [InlineData("BF16")]
    [InlineData("F8_E4M3")]
    [InlineData("F8_E5M2")]
    [InlineData("F8_E8M0")]
    public void One_plus_epsilon_is_the_next_value_after_one(string name)
    {
        ScalarTypeInfo info = ScalarTypes.Named(name)!;
        Assert.Equal(1 + info.Epsilon, Cast(1 + info.Epsilon, info.Type));
        Assert.Equal(1, Cast(1 + (info.Epsilon * 0.25), info.Type));
    }

    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void The_table_agrees_with_the_frameworks_own_limits(ScalarType type)
    {
        Assert.Equal(1, ScalarTypes.Of(type).Largest / finfo(type).max, 1e-6);
        Assert.Equal(1, ScalarTypes.Of(type).Epsilon / finfo(type).eps, 1e-6);
    }

    [Fact]
    public void Float8_counts_as_floating_point_and_int8_does_not()
    {
        Assert.True(ScalarTypes.IsFloat(ScalarTypes.Float8E4M3));
        Assert.False(ScalarTypes.IsFloat(ScalarType.Int8));
        Assert.False(ScalarTypes.IsFloat(ScalarType.QInt8));
    }

    [Fact]
    public void An_unknown_type_is_refused_by_name()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => ScalarTypes.Of(ScalarType.ComplexFloat64));
        Assert.Contains("ComplexFloat64", error.Message, StringComparison.Ordinal);
        Assert.Null(ScalarTypes.Named("f32"));
    }

    private static double Cast(double value, ScalarType type)
    {
        using Tensor wide = tensor(value, dtype: ScalarType.Float64);
        using Tensor narrow = wide.to_type(type);
        using Tensor back = narrow.to_type(ScalarType.Float64);
        return back.item<double>();
    }
}
