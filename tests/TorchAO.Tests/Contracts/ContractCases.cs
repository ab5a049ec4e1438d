using System.Text.Json.Nodes;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Codebook;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Floatx;
using TorchAO.Formats.Half;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Formats.Mx;
using TorchAO.Formats.Nf4;
using TorchAO.Formats.UIntX;
using TorchAO.Numerics;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts.Ternary;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Contracts;

/// <summary>What the contract tests run over: every format of the catalogue and one from outside, and configs with options.</summary>
internal static class ContractCases
{
    /// <summary>The built-in formats and a toy one, in a private catalogue.</summary>
    public static readonly FormatCatalog Catalog = new([.. BuiltInFormats.Catalog.Formats, new TernaryFormat()]);

    private static readonly QuantizeConfig[] Variants =
    [
        new Int8WeightOnlyConfig { GroupSize = 32 },
        new Int4WeightOnlyConfig { GroupSize = 32, MappingType = MappingType.Symmetric },
        new Int4WeightOnlyConfig { GroupSize = null },
        new Int4WeightOnlyConfig { GroupSize = -1, MappingType = MappingType.Symmetric },
        new Int4WeightOnlyConfig { GroupSize = 32, UseHqq = true },
        new Int4WeightOnlyConfig { GroupSize = 32, ZeroPointDomain = ZeroPointDomain.Integer },
        new Int8DynamicActivationInt4WeightConfig
        {
            GroupSize = 128, MappingType = MappingType.Symmetric, ActMappingType = MappingType.Symmetric, UseQqq = true,
        },
        new Int8DynamicActivationInt4WeightConfig
        {
            GroupSize = null, MappingType = MappingType.Symmetric, ActMappingType = MappingType.Symmetric, UseQqq = true,
        },
        new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(1), GroupSize = 32 },
        new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(2), GroupSize = null },
        new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(3), UseHqq = true },
        new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(5), GroupSize = null },
        new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(6), GroupSize = 32 },
        new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(7), GroupSize = 128 },
        new UIntXWeightOnlyConfig { DType = QuantizedType.UInt8, GroupSize = null, UseHqq = true },
        new IntxWeightOnlyConfig
        {
            WeightDType = QuantizedType.Signed(3), Granularity = new PerRow(), MappingType = MappingType.Asymmetric,
            HasWeightZeros = true,
        },
        new IntxWeightOnlyConfig { WeightDType = QuantizedType.Signed(6), MappingType = MappingType.Asymmetric },
        new IntxWeightOnlyConfig
        {
            WeightDType = QuantizedType.Int8, Granularity = new PerGroup(32), MappingType = MappingType.Asymmetric,
            HasWeightZeros = true,
        },
        new GemliteUIntXWeightOnlyConfig { BitWidth = 8, GroupSize = null },
        new Float8WeightOnlyConfig { WeightDType = ScalarTypes.Float8E5M2 },
        new Float8WeightOnlyConfig { Granularity = Float8Granularity.PerTensor },
        new CodebookWeightOnlyConfig { DType = QuantizedType.Unsigned(3), ScaleBlockSize = 32 },
        new CodebookWeightOnlyConfig { DType = QuantizedType.UInt8, ScaleBlockSize = 64 },
        new CodebookWeightOnlyConfig { DType = QuantizedType.Unsigned(6), BlockSize = 4, ScaleBlockSize = 64 },
        new HalfWeightOnlyConfig { DType = ScalarType.Float16 },
        new NF4WeightOnlyConfig { BlockSize = 32, ScalerBlockSize = 6 },
        new FPXWeightOnlyConfig(2, 3),
        new FPXWeightOnlyConfig(2, 2),
        new FPXWeightOnlyConfig(2, 1),
        new FPXWeightOnlyConfig(1, 1),
        new FPXWeightOnlyConfig(4, 2),
        new MxWeightOnlyConfig { ElementType = MxElementType.Float8E5M2, ScalingMode = ScaleRounding.Even },
        new MxWeightOnlyConfig { ElementType = MxElementType.Float6E3M2, ScalingMode = ScaleRounding.RoundUp },
        new MxWeightOnlyConfig { ElementType = MxElementType.Float6E2M3, BlockSize = 64 },
        new MxWeightOnlyConfig { ElementType = MxElementType.Float4E2M1, ScalingMode = ScaleRounding.Ceiling },
        new MxWeightOnlyConfig { ElementType = MxElementType.Float4E2M1, BlockSize = 16 },
    ];

    /// <summary>Each handler's default and each variant, by a name that a test report can show.</summary>
    public static readonly IReadOnlyDictionary<string, QuantizeConfig> Configs = Catalog.Handlers
        .Select(handler => handler.DefaultConfig)
        .Concat(Variants)
        .ToDictionary(config => config.ToString());

    public static IEnumerable<string> FormatNames => Catalog.Formats.Select(format => format.Name);

    public static ScalarType[] WeightTypes => [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16];

    /// <summary>Makes a normally distributed weight; the seed depends on the shape only.</summary>
    public static Tensor Weight(long n, long k, ScalarType dtype = ScalarType.Float32)
    {
        using Generator generator = new((ulong)((n * 1000) + k), CPU);
        using Tensor values = randn([n, k], generator: generator);
        return values.to(dtype, copy: true);
    }

    /// <summary>Quantizes a normally distributed weight.</summary>
    public static QuantizedTensor Quantize(QuantizeConfig config, long n, long k, ScalarType dtype = ScalarType.Float32)
    {
        using Tensor weight = Weight(n, k, dtype);
        return Catalog.Handler(config).Quantize(weight, config);
    }

    /// <summary>Hands over what a checkpoint would hold of a tensor: parameters through text, components as copies.</summary>
    public static StoredTensor Store(QuantizedTensor tensor) => new(
        "layers.0.weight",
        tensor.Shape,
        tensor.DType,
        (JsonObject)JsonNode.Parse(tensor.DescribeParameters().ToJsonString())!,
        tensor.Components.ToDictionary(component => component.Name, component => component.Value.clone()));

    /// <summary>Demands the same bytes, shapes and types.</summary>
    public static void AssertSame(QuantizedTensor expected, QuantizedTensor actual)
    {
        Assert.Equal(expected.Format, actual.Format);
        Assert.Equal(expected.Shape, actual.Shape);
        Assert.Equal(expected.DType, actual.DType);
        Assert.Equal(expected.GroupSize, actual.GroupSize);
        Assert.Equal(expected.DescribeParameters().ToJsonString(), actual.DescribeParameters().ToJsonString());
        Assert.Equal(expected.Components.Select(c => c.Name), actual.Components.Select(c => c.Name));
        foreach ((TensorComponent want, TensorComponent got) in expected.Components.Zip(actual.Components))
        {
            Assert.Equal(want.Value.dtype, got.Value.dtype);
            Assert.Equal(want.Value.shape, got.Value.shape);
            Assert.True(want.Value.bytes.SequenceEqual(got.Value.bytes), $"{want.Name} of {expected.Format} has other bytes");
        }
    }

    /// <summary>Demands equal values.</summary>
    public static void AssertEqual(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.Equal(expected.dtype, actual.dtype);
        using DisposeScope scope = NewDisposeScope();
        if (!expected.equal(actual).all().item<bool>())
        {
            Assert.Fail($"values differ by up to {(expected - actual).abs().to(ScalarType.Float32).max().item<float>()}");
        }
    }
}
