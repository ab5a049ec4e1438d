using TorchAO.Kernels.Cuda;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda;

/// <summary>A random weight, as kernels see it and as the numbers that its codes stand for.</summary>
/// <param name="View">The weight.</param>
/// <param name="Values">Makes its numbers, float64 <c>[N, K]</c>.</param>
internal sealed record StepWeight(CudaWeight View, Func<Tensor> Values)
{
    /// <summary>Makes a weight whose products with numbers of size 1 are of size 1.</summary>
    public static StepWeight Make(StepWeightKind kind, int n, int k, Generator? generator, Device device)
    {
        double size = 1 / Math.Sqrt(k);
        switch (kind)
        {
            case StepWeightKind.Half:
                Tensor plain = (randn([n, k], device: device, generator: generator) * size).to(ScalarType.BFloat16);
                return new(CudaWeight.OfTensor(plain), () => plain.to(ScalarType.Float64));
            case StepWeightKind.Int8Rows or StepWeightKind.Int8Groups32:
                Tensor bytes = randint(-127, 128, [n, k], dtype: ScalarType.Int8, device: device, generator: generator);
                Tensor step = Scale(kind == StepWeightKind.Int8Rows ? 1 : k / 32, 73).to(ScalarType.Float32);
                return Of(new StoredCodes(bytes, CodeLayout.Bytes, 8, CodeValue.Signed, step), bytes);
            case StepWeightKind.Float8E4M3 or StepWeightKind.Float8E5M2 or StepWeightKind.Float8Shared:
                bool isFine = kind != StepWeightKind.Float8E5M2;
                Tensor small = randn([n, k], device: device, generator: generator).to(isFine ? ScalarTypes.Float8E4M3 : ScalarTypes.Float8E5M2);
                Tensor scale = Scale(1, 1).to(ScalarType.Float32);
                scale = kind == StepWeightKind.Float8Shared ? scale.narrow(0, 0, 1).clone() : scale;
                return Of(new StoredCodes(small, CodeLayout.Bytes, 8, isFine ? CodeValue.Float8E4M3 : CodeValue.Float8E5M2, scale), small);
            default:
                int group = kind switch { StepWeightKind.Int4Groups64 => 64, StepWeightKind.Int4Groups128 => 128, _ => 32 };
                Tensor codes = randint(0, 16, [n, k / 2, 2], dtype: ScalarType.Byte, device: device, generator: generator);
                Tensor packed = codes.select(2, 0) + (codes.select(2, 1) * 16);
                Tensor? zero = kind switch
                {
                    StepWeightKind.Int4Symmetric => null,
                    StepWeightKind.Int4Codes => randint(4, 12, [n, k / group], dtype: ScalarType.Byte, device: device, generator: generator),
                    _ => (randn([n, k / group], device: device, generator: generator) * (0.3 * size)).to(ScalarType.BFloat16),
                };
                return Of(
                    new StoredCodes(packed, CodeLayout.Nibbles, 4, CodeValue.Unsigned, Scale(k / group, 4.6).to(ScalarType.BFloat16)) { ZeroPoint = zero },
                    codes.view(n, k));
        }

        Tensor Scale(long groups, double spread) => (rand([n, groups], device: device, generator: generator) + 0.5) * (size / spread);

        StepWeight Of(StoredCodes stored, Tensor codes) => new(new CudaWeight(stored, [n, k]), () => Decode(stored, codes, n, k));
    }

    private static Tensor Decode(StoredCodes stored, Tensor codes, int n, int k)
    {
        Tensor scale = stored.Scale.to(ScalarType.Float64).unsqueeze(2);
        Tensor numbers = codes.to(ScalarType.Float32).to(ScalarType.Float64).view(n, stored.Scale.size(1), -1);
        numbers = stored.ZeroKind == CudaZeroPoint.Byte ? numbers - stored.ZeroPoint!.to(ScalarType.Float64).unsqueeze(2) : numbers - (stored.Bits == 4 ? 8 : 0);
        Tensor values = numbers * scale;
        return (stored.ZeroKind == CudaZeroPoint.Value ? values + stored.ZeroPoint!.to(ScalarType.Float64).unsqueeze(2) : values).view(n, k);
    }
}
