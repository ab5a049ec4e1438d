using TorchAO.Runtime.Libtorch;
using Xunit;

namespace TorchAO.Runtime.Tests.Libtorch;

public sealed class OperatorSchemaTests
{
    [Fact]
    public void Types_names_and_defaults_are_read()
    {
        OperatorSchema schema = OperatorSchema.Parse(
            "aten::f(Tensor(a!) self, SymInt[2]? sizes=[1, 2], *, Tensor?[] indices, float scale=1., str mode=\"none\") -> (Tensor(a!), int)");
        Assert.Equal(
            ["self Tensor ", "sizes int[]? [1, 2]", "indices Tensor?[] ", "scale float 1.", "mode str \"none\""],
            schema.Parameters.Select(p => $"{p.Name} {p.Type} {p.Default}"));
        Assert.Equal(["Tensor", "int"], schema.Results.Select(result => result.ToString()));
        Assert.True(schema.IsMutating);
    }

    [Theory]
    [InlineData("a::b() -> ()", 0, 0)]
    [InlineData("a::b(Tensor(a -> *) self, int split_size, int dim=0) -> Tensor(a)[]", 3, 1)]
    [InlineData("a::b.c(Tensor x) -> (Tensor values, Tensor indices)", 1, 2)]
    public void Odd_forms_are_read(string text, int parameters, int results)
    {
        OperatorSchema schema = OperatorSchema.Parse(text);
        Assert.Equal(parameters, schema.Parameters.Count);
        Assert.Equal(results, schema.Results.Count);
        Assert.False(schema.IsMutating);
    }

    [Theory]
    [InlineData("")]
    [InlineData("aten::mm")]
    [InlineData("aten::mm(Tensor self")]
    [InlineData("aten::mm(Tensor self) Tensor")]
    [InlineData("aten::mm(self) -> Tensor")]
    public void What_is_no_schema_is_refused(string text) =>
        Assert.Throws<FormatException>(() => OperatorSchema.Parse(text));
}
