using TorchAO.Formats;
using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchAO.Tests.Kernels.Cuda.Emulation;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Quantize;

/// <summary>Passes over weights, lane by lane on the CPU: as a device without instructions for 8-bit floats runs them.</summary>
public sealed class EmulatedQuantizeTests
{
    // Rows, columns, groups: whole eights, an odd row, groups that split eights and bytes, one value a group, more columns than a block
    // takes at once, in one group and in more than a block has teams for.
    private static readonly (long N, long K, long Group)[] Shapes =
        [(11, 64, 32), (11, 45, 45), (10, 60, 12), (3, 30, 6), (2, 2088, 2088), (2, 2304, 8)];

    // What is between these differs in no line of the kernels; a device runs all.
    private static readonly string[] Between = ["uint2", "uint4", "uint5", "fp5", "fp4", "float8 e5m2"];

    public static TheoryData<string> Grids => [.. OnePassGrids.All.Keys.Except(Between)];

    [Theory]
    [MemberData(nameof(Grids))]
    public void A_pass_makes_the_bytes_of_the_grid(string name)
    {
        foreach (ScalarType type in TypesOf(name))
        {
            foreach ((long n, long k, long group) in Shapes)
            {
                using Tensor weight = OnePassGrids.Weight(n, k, type);
                foreach (IOnePassGrid grid in OnePassGrids.All[name](group))
                {
                    using DisposeScope scope = NewDisposeScope();
                    using QuantizedTensor expected = OnePassGrids.Expected(grid, weight);
                    using QuantizedTensor? actual = Emulate(grid, weight);
                    Assert.NotNull(actual);
                    AssertSame(expected, actual, $"{name}, {type}, [{n}, {k}] in groups of {group}, {grid.Plan(weight)}");
                }
            }
        }
    }

    // Each kernel is compiled for a type: those of the commonest grids for all, others for one in turn. A device runs all of all.
    private static ScalarType[] TypesOf(string name) => name is "int8" or "int4, values" or "mxfp4"
        ? ContractCases.WeightTypes
        : [ContractCases.WeightTypes[OnePassGrids.All.Keys.ToList().IndexOf(name) % ContractCases.WeightTypes.Length]];

    // A block a value, so that each is a largest magnitude.
    [Fact]
    public void Exponents_of_all_magnitudes_are_those_of_the_grid()
    {
        foreach (ScalarType type in ContractCases.WeightTypes)
        {
            using Tensor weight = OnePassGrids.HardLogarithms(type);
            foreach (IOnePassGrid grid in OnePassGrids.All["mxfp4"](1))
            {
                using QuantizedTensor expected = OnePassGrids.Expected(grid, weight);
                using QuantizedTensor? actual = Emulate(grid, weight);
                AssertSame(expected, actual!, $"{type}, {grid.Plan(weight)}");
            }
        }
    }

    [Fact]
    public void A_pass_tells_of_one_value_that_is_not_finite()
    {
        foreach (string name in (string[])["int8", "float8 e4m3", "ternary"])
        {
            foreach (float odd in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
            {
                foreach (IOnePassGrid grid in OnePassGrids.All[name](32))
                {
                    using Tensor weight = ones(3, 64);
                    weight[2, 63] = odd;
                    Assert.Null(Emulate(grid, weight));
                }
            }
        }
    }

    [Fact]
    public void Casts_to_float8_are_those_of_the_codec()
    {
        foreach (ScalarType type in ContractCases.WeightTypes)
        {
            ScalarType code = Float8Casts.Codes[type == ScalarType.BFloat16 ? 1 : 0];
            foreach (ulong? seed in (ulong?[])[null, 0x123456789ABCDEF0])
            {
                foreach (long count in (long[])[2403, 16, 5])
                {
                    using Tensor values = Float8Casts.Values(count, type), codes = zeros([count], dtype: code);

                    EmulatedKernel.Compile(
                        "src/TorchAO/Kernels/Cuda/Quantize/float8_cast.cu", "float8_cast", CudaFloat8Cast.Options(type, code, seed is not null))
                        .Run(CudaFloat8Cast.Settle(values, codes, seed ?? 0), CudaFloat8Cast.Blocks(count), 256);

                    Assert.Equal(Float8Casts.Expected(values, code, seed), codes.bytes.ToArray());
                }
            }
        }
    }

    private static QuantizedTensor? Emulate(IOnePassGrid grid, Tensor weight)
    {
        using WeightPlan plan = grid.Plan(weight);
        using var pass = WeightPass.Create(weight, plan);
        foreach ((string entry, Runtime.Cuda.Dim3 blocks, int threads) in WeightCoder.Launches(pass, plan))
        {
            EmulatedKernel.Compile($"src/TorchAO/Kernels/Cuda/{WeightPass.File}", entry, pass.Variant.Options).Run(pass.Settled, blocks, threads);
        }

        return pass.State[1].item<int>() == 0 ? grid.Store(pass.Result, weight.shape, weight.dtype) : null;
    }

    private static void AssertSame(QuantizedTensor expected, QuantizedTensor actual, string what)
    {
        foreach ((TensorComponent want, TensorComponent got) in expected.Components.Reverse().Zip(actual.Components.Reverse()))
        {
            long differing = want.Value.bytes.ToArray().Zip(got.Value.bytes.ToArray()).Count(pair => pair.First != pair.Second);
            Assert.True(differing == 0, $"{what}: {differing} of {want.Value.bytes.Length} bytes of {want.Name} differ");
        }

        ContractCases.AssertSame(expected, actual);
    }
}
