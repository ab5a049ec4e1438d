using TorchAO.Configuration;
using TorchAO.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Contracts;

/// <summary>A cut through the codes gives the values that a cut through the dequantized weight gives.</summary>
public sealed class NarrowContractTests
{
    public static TheoryData<string> Configs => [.. ContractCases.Configs.Keys];

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_range_of_rows_keeps_its_values(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using QuantizedTensor tensor = ContractCases.Quantize(ContractCases.Configs[name], 7, 256, ScalarType.BFloat16);
        Tensor values = tensor.Dequantize();
        foreach ((long start, long length) in new (long, long)[] { (0, 7), (0, 1), (3, 2), (6, 1) })
        {
            using QuantizedTensor cut = tensor.Narrow(0, start, length);

            Assert.Equal([length, 256], cut.Shape);
            Assert.Equal(tensor.GroupSize, cut.GroupSize);
            ContractCases.AssertEqual(values.narrow(0, start, length), cut.Dequantize());
        }
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_range_of_whole_groups_keeps_its_values(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        QuantizeConfig config = ContractCases.Configs[name];
        using QuantizedTensor tensor = ContractCases.Quantize(config, 5, 512, ScalarType.BFloat16);
        Tensor values = tensor.Dequantize();
        foreach ((long start, long length) in new (long, long)[] { (0, 512), (0, 128), (128, 256), (384, 128) })
        {
            using QuantizedTensor cut = tensor.Narrow(1, start, length);

            Assert.Equal([5, length], cut.Shape);
            Assert.Equal(Math.Min(tensor.GroupSize, length), cut.GroupSize);
            ContractCases.AssertEqual(values.narrow(1, start, length), cut.Dequantize());
        }
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_cut_shares_no_memory(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor values;
        QuantizedTensor cut;
        using (QuantizedTensor tensor = ContractCases.Quantize(ContractCases.Configs[name], 4, 256))
        {
            values = tensor.Dequantize();
            cut = tensor.Narrow(0, 0, 4);
        }

        using (cut)
        {
            ContractCases.AssertEqual(values, cut.Dequantize());
        }
    }

    [Theory]
    [InlineData(2, 0, 1)]
    [InlineData(-1, 0, 1)]
    [InlineData(0, -1, 1)]
    [InlineData(0, 0, 0)]
    [InlineData(0, 3, 2)]
    [InlineData(1, 200, 100)]
    [InlineData(1, 1, long.MaxValue)]
    public void A_range_outside_of_the_weight_is_an_error(int dimension, long start, long length)
    {
        foreach (QuantizeConfig config in ContractCases.Configs.Values)
        {
            using QuantizedTensor tensor = ContractCases.Quantize(config, 4, 256);
            Assert.Throws<ArgumentOutOfRangeException>(() => tensor.Narrow(dimension, start, length));
        }
    }
}
