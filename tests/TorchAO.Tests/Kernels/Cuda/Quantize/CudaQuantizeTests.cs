using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.BitNet;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Floatx;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Formats.Mx;
using TorchAO.Formats.Nf4;
using TorchAO.Formats.UIntX;
using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Modules;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Quantize;

/// <summary>Weights quantized on the device in one pass, against the same on the CPU, bit by bit.</summary>
public sealed class CudaQuantizeTests
{
    // Rows, columns, groups: as for the emulation, and more.
    private static readonly (long N, long K, long Group)[] Shapes =
    [
        (11, 64, 32), (37, 45, 45), (37, 60, 12), (13, 30, 6), (12, 2088, 2088), (12, 2304, 8), (1, 4096, 64), (300, 1024, 128),
        (20, 14336, 7168), (16, 4104, 1026), (5000, 2, 2), (9, 1, 1),
    ];

    // Everything that is chosen by the grid alone and adds up no mean.
    private static readonly QuantizeConfig[] Configs =
    [
        new Int8WeightOnlyConfig(),
        new Int8WeightOnlyConfig { GroupSize = 32, NarrowRange = true },
        new Int8DynamicActivationInt8WeightConfig(),
        new Int4WeightOnlyConfig { GroupSize = 32 },
        new Int4WeightOnlyConfig { GroupSize = 128, MappingType = MappingType.Symmetric },
        new Int4WeightOnlyConfig { GroupSize = 32, ZeroPointDomain = ZeroPointDomain.Integer },
        new Int8DynamicActivationInt4WeightConfig { GroupSize = 32 },
        new Int4DynamicActivationInt4WeightConfig(),
        new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(3), GroupSize = 32 },
        new IntxWeightOnlyConfig { WeightDType = QuantizedType.Signed(6), MappingType = MappingType.Asymmetric },
        new GemliteUIntXWeightOnlyConfig { BitWidth = 8, GroupSize = null },
        new Float8WeightOnlyConfig(),
        new Float8DynamicActivationFloat8WeightConfig(),
        new FPXWeightOnlyConfig(3, 2),
        new MxWeightOnlyConfig { ElementType = MxElementType.Float4E2M1 },
    ];

    public static TheoryData<string> Grids => [.. OnePassGrids.All.Keys];

    [CudaTheory]
    [MemberData(nameof(Grids))]
    public void A_pass_makes_the_bytes_of_the_grid_on_the_cpu(string name)
    {
        List<string> failures = [];
        foreach (ScalarType type in ContractCases.WeightTypes)
        {
            foreach ((long n, long k, long group) in Shapes)
            {
                using Tensor weight = OnePassGrids.Weight(n, k, type), there = weight.cuda();
                foreach (IOnePassGrid grid in OnePassGrids.All[name](group))
                {
                    Compare(failures, $"{name}, {type}, [{n}, {k}] in groups of {group}", grid, weight, there);
                }
            }
        }

        Assert.True(failures.Count == 0, $"{failures.Count} differ:\n{string.Join('\n', failures)}");
    }

    // Rows of other tensors, columns of them, addresses that are no multiples of eight numbers.
    [CudaFact]
    public void Views_are_quantized_as_their_copies()
    {
        List<string> failures = [];
        foreach (ScalarType type in ContractCases.WeightTypes)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor whole = OnePassGrids.Weight(65, 192, type), odd = OnePassGrids.Weight(40, 67, type);
            foreach ((string view, Tensor weight, Tensor there) in new[]
            {
                ("transposed", whole.t(), whole.cuda().t()),
                ("columns", whole.narrow(1, 3, 96), whole.cuda().narrow(1, 3, 96)),
                ("every second row", whole[TensorIndex.Slice(null, null, 2)], whole.cuda()[TensorIndex.Slice(null, null, 2)]),
                ("rows of an odd length", odd.narrow(0, 1, 30), odd.cuda().narrow(0, 1, 30)),
                ("from the fourth number on", whole.flatten().narrow(0, 3, 64 * 128).view(64, 128), whole.cuda().flatten().narrow(0, 3, 64 * 128).view(64, 128)),
            })
            {
                foreach (string name in (string[])["int8", "int4, values", "uint3", "float8 e4m3", "mxfp4"])
                {
                    foreach (IOnePassGrid grid in OnePassGrids.All[name](weight.size(1) % 16 == 0 ? 16 : weight.size(1)))
                    {
                        Compare(failures, $"{name}, {type}, {view}", grid, weight.contiguous(), there);
                    }
                }
            }
        }

        Assert.True(failures.Count == 0, $"{failures.Count} differ:\n{string.Join('\n', failures)}");
    }

    [CudaFact]
    public void Exponents_of_all_magnitudes_are_those_of_the_grid()
    {
        List<string> failures = [];
        foreach (ScalarType type in ContractCases.WeightTypes)
        {
            using Tensor weight = OnePassGrids.HardLogarithms(type), there = weight.cuda();
            foreach (IOnePassGrid grid in OnePassGrids.All["mxfp4"](1))
            {
                Compare(failures, $"{type}", grid, weight, there);
            }
        }

        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    [CudaFact]
    public void Handlers_give_the_same_tensor_for_a_weight_on_the_device()
    {
        List<string> failures = [];
        foreach (QuantizeConfig config in Configs)
        {
            foreach (ScalarType type in ContractCases.WeightTypes)
            {
                IQuantizeHandler handler = ContractCases.Catalog.Handler(config);
                using Tensor weight = ContractCases.Weight(96, 256, type), there = weight.cuda();
                using QuantizedTensor expected = handler.Quantize(weight, config), actual = handler.Quantize(there, config);
                Assert.Equal(DeviceType.CUDA, actual.Device.type);
                using QuantizedTensor back = actual.To(CPU);
                if (Record.Exception(() => ContractCases.AssertSame(expected, back)) is { } difference)
                {
                    failures.Add($"{config}, {type}: {difference.Message}");
                }
            }
        }

        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    [CudaFact]
    public void A_weight_that_is_not_finite_gets_the_message_that_it_gets_on_the_cpu()
    {
        foreach (QuantizeConfig config in (QuantizeConfig[])[.. Configs, new NF4WeightOnlyConfig(), new BitNetWeightOnlyConfig()])
        {
            foreach (float odd in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
            {
                IQuantizeHandler handler = ContractCases.Catalog.Handler(config);
                using Tensor weight = ContractCases.Weight(96, 256, ScalarType.BFloat16), there = weight.cuda();
                weight[95, 255] = odd;
                there[95, 255] = odd;

                string here = Assert.Throws<QuantizationException>(() => handler.Quantize(weight, config)).Message;
                Assert.Equal(here, Assert.Throws<QuantizationException>(() => handler.Quantize(there, config)).Message);
            }
        }
    }

    [CudaFact]
    public void A_model_is_quantized_layer_by_layer_on_its_way_from_the_host()
    {
        using nn.Module<Tensor, Tensor> here = nn.Sequential(nn.Linear(256, 96), nn.ReLU(), nn.Linear(96, 64));
        using nn.Module<Tensor, Tensor> there = nn.Sequential(nn.Linear(256, 96), nn.ReLU(), nn.Linear(96, 64));
        there.load_state_dict(here.state_dict());

        here.Quantize(new Int8WeightOnlyConfig());
        there.Quantize(new Int8WeightOnlyConfig(), new() { Device = CUDA });

        QuantizedLinear[] expected = [.. here.modules().OfType<QuantizedLinear>()], actual = [.. there.modules().OfType<QuantizedLinear>()];
        Assert.Equal(2, actual.Length);
        foreach ((QuantizedLinear one, QuantizedLinear other) in expected.Zip(actual))
        {
            Assert.Equal(DeviceType.CUDA, other.Weight.Device.type);
            using QuantizedTensor back = other.Weight.To(CPU);
            ContractCases.AssertSame(one.Weight, back);
        }
    }

    [CudaFact]
    public void A_large_weight_is_quantized_as_on_the_cpu()
    {
        using Tensor values = ContractCases.Weight(2048, 14336), weight = values.to(ScalarType.BFloat16), there = weight.cuda();
        List<string> failures = [];
        foreach (string name in (string[])["int8", "int4, values", "int4, codes", "float8 e4m3"])
        {
            foreach (IOnePassGrid grid in OnePassGrids.All[name](128))
            {
                Compare(failures, name, grid, weight, there);
            }
        }

        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    [CudaFact]
    public void Casts_to_float8_are_those_of_the_codec()
    {
        foreach (ScalarType type in ContractCases.WeightTypes)
        {
            foreach (ScalarType code in Float8Casts.Codes)
            {
                foreach (ulong? seed in (ulong?[])[null, 0, 0x123456789ABCDEF0])
                {
                    foreach (long count in (long[])[1_000_003, 4096, 16, 5, 0])
                    {
                        using Tensor values = Float8Casts.Values(count, type), there = values.cuda();

                        using Tensor codes = CudaFloat8Cast.Run(there, code, seed), back = codes.cpu();

                        Assert.Equal((code, count), (back.dtype, back.numel()));
                        Assert.True(
                            Float8Casts.Expected(values, code, seed).AsSpan().SequenceEqual(back.bytes), $"{type} to {code}, seed {seed}, {count} values");
                    }
                }
            }
        }
    }

    // The mean that ternary codes have for a scale is added up on the device in another order, so the CPU is given it.
    private static void Compare(List<string> failures, string name, IOnePassGrid grid, Tensor weight, Tensor there)
    {
        using DisposeScope scope = NewDisposeScope();
        using WeightPlan plan = grid.Plan(there);
        using QParams qparams = plan.Given is { } given ? new QParams(given.cpu()) : grid.ChooseQParams(weight);
        Tensor codes = grid.Quantize(weight, qparams);
        using QuantizedTensor packed = grid.Pack(codes, qparams, weight.dtype);

        Assert.Null(WeightCoder.ReasonToRefuse(there));
        WeightCodes? made = WeightCoder.Run(there, plan);
        Assert.NotNull(made);

        CompareBytes(failures, $"{name}, {plan}: codes", packed.Components[0].Value, made.Codes);
        CompareBytes(failures, $"{name}, {plan}: scales", qparams.Scale, made.Scale);
        Assert.Equal(qparams.ZeroPoint is null, made.ZeroPoint is null);
        if (qparams.ZeroPoint is { } zero)
        {
            CompareBytes(failures, $"{name}, {plan}: zero points", zero, made.ZeroPoint!);
        }
    }

    private static void CompareBytes(List<string> failures, string name, Tensor expected, Tensor actual)
    {
        using Tensor here = actual.cpu();
        Assert.Equal((expected.dtype, expected.numel()), (here.dtype, here.numel()));
        byte[] wanted = expected.bytes.ToArray(), got = here.bytes.ToArray();
        int first = wanted.Zip(got).Select((pair, i) => pair.First == pair.Second ? -1 : i).FirstOrDefault(i => i >= 0, -1);
        if (first >= 0)
        {
            int differing = wanted.Zip(got).Count(pair => pair.First != pair.Second);
            failures.Add($"{name}: {differing} of {wanted.Length} bytes differ, the first at {first}: {wanted[first]} on the CPU, {got[first]} on the device");
        }
    }
}
