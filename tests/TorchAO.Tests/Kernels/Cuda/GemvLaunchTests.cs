using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Primitives;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Libtorch;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda;

/// <summary>Products of few rows on a GPU against float64.</summary>
public sealed class GemvLaunchTests
{
    public static TheoryData<CudaWeightKind, ScalarType> KindsAndTypes()
    {
        var data = new TheoryData<CudaWeightKind, ScalarType>();
        foreach (CudaWeightKind kind in Enum.GetValues<CudaWeightKind>())
        {
            data.Add(kind, ScalarType.BFloat16);
            data.Add(kind, ScalarType.Float16);
        }

        return data;
    }

    public enum CudaWeightKind
    {
        Half,
        Int8Rows,
        Int8Groups32,
        Int8Groups128,
        Int4Groups32,
        Int4Groups64,
        Int4Groups256,
        Int4Symmetric,
        Int4Codes,
        Int4Rows,
        Float8E4M3,
        Float8E5M2,
    }

    [CudaTheory]
    [MemberData(nameof(KindsAndTypes))]
    public void Every_count_of_rows_and_every_epilogue_gives_the_product(CudaWeightKind kind, ScalarType type)
    {
        var random = new Random(17 + (int)kind);
        foreach (int rows in (int[])[1, 2, 3, 8, 11, 1])
        {
            foreach (GemvEpilogue epilogue in Enum.GetValues<GemvEpilogue>())
            {
                int k = 256 * random.Next(1, 20), n = random.Next(1, 200);
                Check(kind, type, rows, epilogue, k, [n, epilogue == GemvEpilogue.Gate ? n : random.Next(1, 90)], random.Next(2) == 0, random);
            }
        }
    }

    [CudaTheory]
    [InlineData(CudaWeightKind.Half)]
    [InlineData(CudaWeightKind.Int8Rows)]
    [InlineData(CudaWeightKind.Int4Groups32)]
    [InlineData(CudaWeightKind.Float8E4M3)]
    public void Rows_may_end_inside_a_chunk_and_be_long(CudaWeightKind kind)
    {
        var random = new Random(5);
        foreach (int k in (int[])[32, 96, 288, 4064, 11_008, 14_336, 28_672])
        {
            foreach (int rows in (int[])[1, 5])
            {
                Check(kind, ScalarType.BFloat16, rows, GemvEpilogue.Store, k, [70], hasNorm: true, random);
            }
        }
    }

    [CudaFact]
    public void The_same_launch_gives_the_same_bits_each_time()
    {
        using DisposeScope scope = NewDisposeScope();
        using var weight = Quantized(CudaWeightKind.Int4Groups32, ScalarType.BFloat16, 4096, 4096);
        Tensor x = randn([1, 4096], device: CUDA).to(ScalarType.BFloat16), y = zeros([1, 4096], dtype: ScalarType.BFloat16, device: CUDA);
        CudaDevice device = CudaDevice.Of(x);
        var launch = new GemvLaunch(device, new GemvProduct { Weights = [weight.View], Input = x, Output = y });
        launch.Launch(CudaStream.Current(device));
        Tensor first = y.clone();
        for (int i = 0; i < 200; i++)
        {
            y.fill_(float.NaN);
            launch.Launch(CudaStream.Current(device));
            Assert.True(y.equal(first).all().item<bool>());
        }
    }

    private static void Check(
        CudaWeightKind kind, ScalarType type, int rows, GemvEpilogue epilogue, int k, int[] counts, bool hasNorm, Random random)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn([rows, k], device: CUDA).to(type), gain = rand([k], device: CUDA).to(type);
        Weight[] weights = [.. counts.Select(n => Quantized(kind, type, n, k))];
        int width = epilogue == GemvEpilogue.Gate ? counts[0] : counts.Sum();
        bool hasBias = random.Next(2) == 0;
        Tensor[] biases = [.. counts.Select(n => randn([n], device: CUDA).to(type))];
        Tensor y = epilogue == GemvEpilogue.Add ? randn([rows, width], device: CUDA).to(type) : full([rows, width], float.NaN, dtype: type, device: CUDA);
        Tensor wide = x.to(ScalarType.Float64);
        if (hasNorm)
        {
            Tensor scaled = (x.to(ScalarType.Float32) * gain.to(ScalarType.Float32)).to(type).to(ScalarType.Float64);
            wide = scaled * (wide.square().mean([1L], keepdim: true) + 1e-5).rsqrt();
        }

        Tensor[] sums =
        [
            .. weights.Zip(biases, (weight, bias) => nn.functional.linear(
                wide, weight.Values.to(ScalarType.Float64), hasBias ? bias.to(ScalarType.Float64) : null)),
        ];
        Tensor expected = epilogue switch
        {
            GemvEpilogue.Gate => nn.functional.silu(sums[0]) * sums[1],
            GemvEpilogue.Add => cat(sums, 1) + y.to(ScalarType.Float64),
            _ => cat(sums, 1),
        };
        CudaDevice device = CudaDevice.Of(x);
        var launch = new GemvLaunch(device, new GemvProduct
        {
            Weights = [.. weights.Select(weight => weight.View)],
            Biases = hasBias ? biases : null,
            Input = x,
            Output = y,
            Gain = hasNorm ? gain : null,
            Epsilon = 1e-5,
            Epilogue = epilogue,
        });
        launch.Launch(CudaStream.Current(device));
        double error = (y.to(ScalarType.Float64) - expected).norm().item<double>() / expected.norm().item<double>();
        Assert.True(
            error < (type == ScalarType.BFloat16 ? 4e-3 : 1e-3),
            $"{kind} {type} rows {rows} {epilogue} k {k} n {string.Join('+', counts)} norm {hasNorm} bias {hasBias}: error {error:E2}");
        Array.ForEach(weights, weight => weight.Dispose());
    }

    private static Weight Quantized(CudaWeightKind kind, ScalarType type, int n, int k)
    {
        // float16 holds no reciprocal of the scales that e5m2 gives weights of usual size.
        Tensor values = randn([n, k], device: CUDA).mul_(0.05).to(kind == CudaWeightKind.Float8E5M2 ? ScalarType.BFloat16 : type);
        QuantizeConfig? config = kind switch
        {
            CudaWeightKind.Half => null,
            CudaWeightKind.Int8Rows => new Int8WeightOnlyConfig(),
            CudaWeightKind.Int8Groups32 => new Int8WeightOnlyConfig { GroupSize = 32 },
            CudaWeightKind.Int8Groups128 => new Int8WeightOnlyConfig { GroupSize = 128 },
            CudaWeightKind.Int4Groups32 => new Int4WeightOnlyConfig { GroupSize = 32 },
            CudaWeightKind.Int4Groups64 => new Int4WeightOnlyConfig { GroupSize = 64 },
            CudaWeightKind.Int4Groups256 => new Int4WeightOnlyConfig { GroupSize = 256 },
            CudaWeightKind.Int4Symmetric => new Int4WeightOnlyConfig { GroupSize = 32, MappingType = MappingType.Symmetric },
            CudaWeightKind.Int4Codes => new Int4WeightOnlyConfig { GroupSize = 32, ZeroPointDomain = ZeroPointDomain.Integer },
            CudaWeightKind.Int4Rows => new Int4WeightOnlyConfig { GroupSize = k },
            CudaWeightKind.Float8E4M3 => new Float8WeightOnlyConfig(),
            _ => new Float8WeightOnlyConfig { WeightDType = ScalarTypes.Float8E5M2 },
        };
        return new Weight(config, values);
    }

    // A weight with the values that its codes stand for.
    private sealed class Weight : IDisposable
    {
        private readonly LinearExecutor? executor;

        public Weight(QuantizeConfig? config, Tensor values)
        {
            executor = config is null ? null : Quantize(config, values);
            View = executor?.LookCuda() ?? CudaWeight.OfTensor(values);
            Values = executor?.Weight.Dequantize(ScalarType.Float32) ?? values;
        }

        public CudaWeight View { get; }

        public Tensor Values { get; }

        public void Dispose() => executor?.Dispose();

        private static LinearExecutor Quantize(QuantizeConfig config, Tensor values)
        {
            IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
            return BuiltInFormats.Catalog.Format(handler.FormatName).CreateExecutor(handler.Quantize(values, config));
        }
    }
}
