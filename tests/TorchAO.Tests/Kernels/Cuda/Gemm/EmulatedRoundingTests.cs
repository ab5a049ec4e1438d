using System.Runtime.InteropServices;
using TorchAO.Kernels.Cuda;
using TorchAO.Primitives;
using TorchAO.Runtime.Memory;
using TorchAO.Tests.Kernels.Cuda.Emulation;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Gemm;

/// <summary>The kernels that round activations, lane by lane on the CPU: as a device without instructions for 8-bit floats runs them.</summary>
public sealed class EmulatedRoundingTests
{
    private const int M = 7, K = 272, Threads = 256;

    public static TheoryData<ScalarType> Types => [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16];

    [Theory]
    [MemberData(nameof(Types))]
    public void Codes_of_a_byte(ScalarType type)
    {
        foreach ((ActivationScheme scheme, int codes) in new[]
        {
            (ActivationScheme.Int8PerToken, 8),
            (ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: false), 80),
            (ActivationScheme.Float8(QuantizedType.Float8E5M2, isPerTensor: false), 52),
        })
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor input = Input(type);
            (Tensor expected, QParams qparams) = scheme.Quantize(input);
            Tensor actual = full([M, K], 99, dtype: ScalarType.Byte), scales = full([M], double.NaN);
            bool rounds = codes == 8 && type == ScalarType.BFloat16;
            var kernel = EmulatedKernel.Compile(
                "src/TorchAO/Kernels/Cuda/Gemm/token_codes.cu", "token_codes", $"-DIN={(int)CudaNumbers.Of(type)}", $"-DCODES={codes}",
                $"-DROUNDS={(rounds ? 1 : 0)}");

            kernel.Run(
                new CodeArguments
                {
                    X = TensorMemory.DeviceAddress(input),
                    Codes = TensorMemory.DeviceAddress(actual),
                    Scales = TensorMemory.DeviceAddress(scales),
                    K = K,
                    Largest = (float)scheme.Target.Max,
                    Smallest = (float)scheme.Arithmetic(type).Epsilon!.Value,
                    M = M,
                },
                M, Threads);

            using (qparams)
            {
                Assert.True(expected.bytes.SequenceEqual(actual.bytes), $"{scheme}: codes");
                Assert.True(qparams.Scale.to(ScalarType.Float32).flatten().equal(scales).all().item<bool>(), $"{scheme}: scales");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Integers_in_bfloat16(ScalarType type)
    {
        foreach (ActivationScheme scheme in new[] { ActivationScheme.Int8PerToken, ActivationScheme.Int8PerTokenAsymmetric, ActivationScheme.Int4PerToken })
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor input = Input(type);
            (Tensor codes, QParams qparams) = scheme.Quantize(input);
            AffineScheme arithmetic = scheme.Arithmetic(type);
            bool isAsymmetric = scheme.Mapping == MappingType.Asymmetric;
            bool rounds = !isAsymmetric && arithmetic.ScaleType == type && type != ScalarType.Float32;
            Tensor actual = full([M, K], double.NaN, dtype: ScalarType.BFloat16), scales = full([M], double.NaN);
            var kernel = EmulatedKernel.Compile(
                "src/TorchAO/Kernels/Cuda/Gemm/token_values.cu", "token_values", $"-DIN={(int)CudaNumbers.Of(type)}",
                $"-DASYMMETRIC={(isAsymmetric ? 1 : 0)}", $"-DROUNDS={(rounds ? 1 : 0)}");
            double range = scheme.Target.Max - scheme.Target.Min;

            kernel.Run(
                new ValueArguments
                {
                    X = TensorMemory.DeviceAddress(input),
                    Values = TensorMemory.DeviceAddress(actual),
                    Scales = TensorMemory.DeviceAddress(scales),
                    K = K,
                    Divisor = (float)(isAsymmetric ? range : range / 2),
                    Smallest = (float)(arithmetic.Epsilon ?? Runtime.Libtorch.ScalarTypes.Of(type).Epsilon),
                    Min = (float)scheme.Target.Min,
                    Max = (float)scheme.Target.Max,
                },
                M, Threads);

            using (qparams)
            {
                Tensor expected = codes.to(ScalarType.Float32);
                expected = qparams.ZeroPoint is { } zero ? expected - zero.to(ScalarType.Float32) : expected;
                Assert.True(expected.equal(actual.to(ScalarType.Float32)).all().item<bool>(), $"{scheme}: integers");
                Assert.True(qparams.Scale.to(ScalarType.Float32).flatten().equal(scales).all().item<bool>(), $"{scheme}: scales");
            }
        }
    }

    // Rows of very different size, not about zero.
    private static Tensor Input(ScalarType type)
    {
        random.manual_seed(3);
        return ((randn(M, K) * pow(10, linspace(-2, 3, M)).unsqueeze(1)) + 0.3).to(type);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct CodeArguments
    {
        public nint X, Codes, Scales, Amax;
        public long K;
        public float Largest, Smallest;
        public int ScaleKind, M;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ValueArguments
    {
        public nint X, Values, Scales;
        public long K;
        public float Divisor, Smallest, Min, Max;
    }
}
