using System.Collections.Concurrent;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>Launches <c>weight_only_gemm.cu</c>: 16-bit activations times a weight of 4 or 8 bits that is decoded on its way into the matrix
/// units of Hopper.</summary>
internal static class WeightOnlyProduct
{
    private const int StepK = 64;
    private const int WeightRowBytes = 64;

    private static readonly ConcurrentDictionary<Variant, CudaKernel> Kernels = new();

    // Microseconds of a multiprocessor for 64 input features; tiles of 32, 64, 128 and 256 tokens.
    private static readonly double[] StepCosts = [0.30, 0.33, 0.45, 0.73];

    /// <summary>Says why weights of a problem cannot be decoded here, or <see langword="null"/> if they can.</summary>
    public static string? ReasonToRefuse(in LinearProblem problem) =>
        DeviceKernels.ReasonToRefuse(problem)
        ?? DeviceKernels.HopperAbsence
        ?? (problem.InFeatures % 32 != 0 ? $"in_features {problem.InFeatures} is no multiple of 32"
        : problem.GroupSize != problem.InFeatures && problem.GroupSize is not (16 or 32) && problem.GroupSize % StepK != 0
            ? $"group size {problem.GroupSize} is not 16, 32 or a multiple of {StepK}"
        : null);

    /// <summary>Gets the kernel's number of a way to decode, or <see langword="null"/> where it has none.</summary>
    public static int? Decoder(StoredCodes stored) => (stored.Layout, stored.Value) switch
    {
        (CodeLayout.Nibbles, CodeValue.Unsigned) => 4,
        (CodeLayout.Bytes, CodeValue.Signed) => 8,
        (CodeLayout.Bytes, CodeValue.Float8E4M3) => 80,
        _ => null,
    };

    /// <summary>Computes the product.</summary>
    /// <param name="input">Activations <c>[M, K]</c>, bfloat16 or float16.</param>
    /// <param name="tokenScale">What the sums of each row are multiplied by, float32 <c>[M]</c>, or <see langword="null"/>.</param>
    /// <param name="stored">The weight, with a <see cref="Decoder"/>; the caller keeps it alive.</param>
    /// <param name="bias">The bias <c>[N]</c>, or <see langword="null"/>.</param>
    /// <param name="type">The type of the result.</param>
    /// <returns>The result <c>[M, N]</c>. The caller disposes it.</returns>
    public static Tensor Run(Tensor input, Tensor? tokenScale, StoredCodes stored, Tensor? bias, ScalarType type)
    {
        (long m, long n, long k) = (input.size(0), stored.Codes.size(0), input.size(1));
        CudaStream stream = DeviceKernels.StreamOf(input);
        GemmShape shape = GemmShape.Choose(m, n, (k + StepK - 1) / StepK, StepCosts, stream.Device.MultiprocessorCount);
        int group = checked((int)(k / stored.Scale.size(1)));
        int decoder = Decoder(stored)!.Value;
        using Tensor? converted = DeviceKernels.Bias(bias, type);
        using Tensor? zero = stored.ZeroKind == CudaZeroPoint.Value && stored.ZeroPoint!.dtype != stored.Scale.dtype ? stored.ZeroPoint.to(stored.Scale.dtype) : null;
        Tensor output = empty([m, n], dtype: type, device: input.device);
        var arguments = new GemmLaunch.Arguments
        {
            XMap = TensorMap.OfMatrix(TensorMemory.DeviceAddress(input), 2, m, k, shape.Tokens, StepK, TensorMapSwizzle.Bytes128),
            WeightMap = TensorMap.OfMatrix(
                TensorMemory.DeviceAddress(stored.Codes), 1, n, stored.Codes.size(1), GemmShape.TileRows, WeightRowBytes, TensorMapSwizzle.Bytes64),
            Scale = TensorMemory.DeviceAddress(stored.Scale),
            Zero = (zero ?? stored.ZeroPoint) is { } points ? TensorMemory.DeviceAddress(points) : 0,
            TokenScale = tokenScale is null ? 0 : TensorMemory.DeviceAddress(tokenScale),
            Bias = converted is null ? 0 : TensorMemory.DeviceAddress(converted),
            Y = TensorMemory.DeviceAddress(output),
            M = checked((int)m),
            N = checked((int)n),
            K = checked((int)k),
            Group = group,
            ScaleStride = stored.ScaleStride,
            TokenStride = 1,
        };
        int stageBytes = GemmLaunch.StageBytes(shape.Tokens, decoder == 4 ? 2 : 1, WeightRowBytes);
        var variant = new Variant(
            shape.Tokens, stageBytes, input.dtype, type, decoder, stored.Scale.dtype,
            group < StepK && group != k ? StepK / group : 1, stored.ZeroKind);
        GemmLaunch.Run(Kernels.GetOrAdd(variant, static key => key.Kernel()), stream, shape, stageBytes, ref arguments);
        return output;
    }

    private readonly record struct Variant(
        int Tokens, int StageBytes, ScalarType Activation, ScalarType Output, int Decoder, ScalarType Scale, int Subgroups, CudaZeroPoint ZeroKind)
    {
        public CudaKernel Kernel() => DeviceKernels.Kernel(
            "Gemm/weight_only_gemm.cu", "weight_only_gemm", $"-DTOKENS={Tokens}", $"-DSTAGES={GemmLaunch.Stages(Tokens, StageBytes)}",
            $"-DOUT={(int)CudaNumbers.Of(Output)}", $"-DACT={(int)CudaNumbers.Of(Activation)}", $"-DWEIGHT={Decoder}",
            $"-DSCALE={(int)CudaNumbers.Of(Scale)}", $"-DSUBGROUPS={Subgroups}", $"-DZERO={(int)ZeroKind}");
    }
}
