using TorchAO.Kernels.Cuda;
using TorchAO.Primitives;
using TorchAO.Runtime.Memory;
using TorchAO.Tests.Kernels.Cuda.Emulation;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda;

/// <summary>The product of few rows, lane by lane on the CPU: its copies, fragments, scales and remainders, on machines without a GPU.</summary>
public sealed class EmulatedGemvTests
{
    private const int N = 40;

    [Theory]
    [InlineData(8, 512, 0, 1, 0)]
    [InlineData(8, 320, 64, 3, 0)]
    [InlineData(4, 576, 32, 1, 0)]
    [InlineData(4, 576, 32, 1, 2)]
    [InlineData(4, 576, 64, 2, 3)]
    public void The_product_is_that_of_the_decoded_weight(int bits, int k, int groupSize, int m, int zeroPoint)
    {
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator(1);
        int length = groupSize == 0 ? k : groupSize;
        Tensor x = randint(-64, 65, [m, k], generator: generator).to(ScalarType.BFloat16); // exact
        Tensor codes = randint(bits == 4 ? 0 : -127, bits == 4 ? 16 : 128, [N, k], generator: generator);
        Tensor scale = rand([N, k / length], generator: generator);
        Tensor? zero = zeroPoint == 0 ? null
            : randint(0, 16, [N, k / length], generator: generator).to(zeroPoint == 2 ? ScalarType.Byte : ScalarType.Int32);
        Tensor packed = bits == 8 ? codes.to(ScalarType.Int8) : (codes[TensorIndex.Colon, TensorIndex.Slice(0, null, 2)]
            + (codes[TensorIndex.Colon, TensorIndex.Slice(1, null, 2)] * 16)).to(ScalarType.Byte);

        Tensor y = Run(bits, groupSize, x, packed, scale, zero);

        Tensor middle = zero?.to(ScalarType.Float64).unsqueeze(2) ?? tensor(bits == 4 ? 8.0 : 0);
        Tensor values = (codes.to(ScalarType.Float64).view(N, -1, length) - middle) * scale.to(ScalarType.Float64).unsqueeze(2);
        Tensor expected = nn.functional.linear(x.to(ScalarType.Float64), values.view(N, k));
        double error = (y - expected).abs().max().item<double>() / expected.abs().max().item<double>();
        Assert.True(error < 1e-5, $"error {error:E2}");
    }

    [Theory]
    [InlineData(8, 512, 0, 1, "int8")]
    [InlineData(8, 320, 64, 3, "int8")]
    [InlineData(4, 576, 32, 1, "asymmetric")]
    [InlineData(4, 576, 64, 2, "asymmetric")]
    [InlineData(8, 320, 0, 1, "float8")]
    public void Activations_are_rounded_as_the_scheme_rounds_them(int bits, int k, int groupSize, int m, string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator(2);
        ActivationScheme scheme = name switch
        {
            "int8" => ActivationScheme.Int8PerToken,
            "asymmetric" => ActivationScheme.Int8PerTokenAsymmetric,
            _ => ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: false),
        };
        int length = groupSize == 0 ? k : groupSize;
        Tensor x = randn([m, k], generator: generator).to(ScalarType.BFloat16);
        Tensor codes = randint(bits == 4 ? 0 : -127, bits == 4 ? 16 : 128, [N, k], generator: generator);
        Tensor scale = rand([N, k / length], generator: generator);
        Tensor packed = bits == 8 ? codes.to(ScalarType.Int8) : (codes[TensorIndex.Colon, TensorIndex.Slice(0, null, 2)]
            + (codes[TensorIndex.Colon, TensorIndex.Slice(1, null, 2)] * 16)).to(ScalarType.Byte);

        Tensor y = Run(bits, groupSize, x, packed, scale, zero: null, scheme);

        Tensor values = (codes.to(ScalarType.Float64).view(N, -1, length) - (bits == 4 ? 8.0 : 0)) * scale.to(ScalarType.Float64).unsqueeze(2);
        Tensor rounded = scheme.Round(x).to(ScalarType.Float64);
        Tensor expected = nn.functional.linear(rounded, values.view(N, k)), plain = nn.functional.linear(x.to(ScalarType.Float64), values.view(N, k));
        double size = expected.abs().max().item<double>();
        double error = (y - expected).abs().max().item<double>() / size, unrounded = (plain - expected).abs().max().item<double>() / size;

        Assert.True(error < 1e-5, $"error {error:E2}");
        Assert.True(unrounded > 1e-3, $"activations that are not rounded have the error {unrounded:E2}: the test shows nothing");
    }

    private static Tensor Run(int bits, int groupSize, Tensor x, Tensor codes, Tensor scale, Tensor? zero, ActivationScheme? scheme = null)
    {
        (int m, int k) = ((int)x.size(0), (int)x.size(1));
        var stored = new StoredCodes(
            codes, bits == 8 ? CodeLayout.Bytes : CodeLayout.Nibbles, bits, bits == 8 ? CodeValue.Signed : CodeValue.Unsigned, scale)
        {
            ZeroPoint = zero,
        };
        var variant = new GemvVariant(
            CudaNumber.BFloat16, bits == 8 ? CudaCode.Int8 : CudaCode.Int4, CudaNumber.Float32, groupSize, stored.ZeroKind, GemvRoundings.Of(scheme, x.dtype, m)!.Value, IsSingle: m == 1, new GemvBlocking(4, 2, 1, 128, 1), Piece: 0);
        Tensor y = full([m, N], double.NaN, dtype: ScalarType.Float32);
        var arguments = new GemvArguments
        {
            Input = TensorMemory.DeviceAddress(x),
            InputStride = k,
            OutputStride = N,
            InFeatures = k,
            Rows = m,
            InputPitch = variant.InputPitch(k),
            Tiles = (N + variant.RowsOfTile - 1) / variant.RowsOfTile,
            OutputType = (int)CudaNumber.Float32,
            SmallestStep = scheme is null ? 0 : GemvRoundings.SmallestStep(scheme, x.dtype),
        };
        arguments.Segments[0] = new GemvSegment
        {
            Codes = TensorMemory.DeviceAddress(codes),
            Scale = TensorMemory.DeviceAddress(scale),
            ZeroPoint = zero is null ? 0 : TensorMemory.DeviceAddress(zero),
            Output = TensorMemory.DeviceAddress(y),
            OutFeatures = N,
            ScaleStep = 1,
        };
        arguments.Segments[1].FirstTile = arguments.Segments[2].FirstTile = int.MaxValue;

        // Two blocks for three tiles: one walks on to another tile.
        EmulatedKernel.Compile("src/TorchAO/Kernels/Cuda/gemv.cu", "gemv", variant.Options())
            .Run(arguments, 2, variant.Threads, variant.SharedBytes(k, m));
        return y;
    }
}
