using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchAO.Primitives;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu;

/// <summary>Activations rounded by a scheme: codes, a scale a row, and perhaps a zero point a row. Owns native memory.</summary>
internal sealed unsafe class TokenCodes : IDisposable
{
    private const nuint Alignment = 64;

    // Rows a worker: below them waking it costs more than it saves.
    private const long ElementsPerWorker = 1 << 14;

    private readonly int length;

    /// <summary>Rounds.</summary>
    /// <param name="input">Activations <c>[M, K]</c>, contiguous, on the CPU.</param>
    /// <param name="scheme">A scheme of integer codes.</param>
    public TokenCodes(Tensor input, ActivationScheme scheme)
    {
        int rows = checked((int)input.size(0));
        length = checked((int)input.size(1));
        Codes = (sbyte*)NativeMemory.AlignedAlloc((nuint)((long)rows * length), Alignment);
        Scales = (float*)NativeMemory.AlignedAlloc((nuint)rows * sizeof(float), Alignment);
        ZeroPoints = scheme.Mapping == MappingType.Asymmetric
            ? (float*)NativeMemory.AlignedAlloc((nuint)rows * sizeof(float), Alignment)
            : null;
        if (!TryRound(input, scheme, rows))
        {
            RoundByScheme(input, scheme, rows);
        }
    }

    /// <summary>Gets the codes <c>[M, K]</c>.</summary>
    public sbyte* Codes { get; private set; }

    /// <summary>Gets a scale a row.</summary>
    public float* Scales { get; private set; }

    /// <summary>Gets the code of value 0 a row; null where it is 0.</summary>
    public float* ZeroPoints { get; private set; }

    /// <summary>Says why activations of a problem have no such codes, or <see langword="null"/>.</summary>
    public static string? ReasonToRefuse(in LinearProblem problem) =>
        problem.Activation is { Target.IsFloat: false, Target.Storage: ScalarType.Int8 }
            ? null
            : $"takes activations in int8 codes, not {problem.Activation?.ToString() ?? "floating point"}";

    /// <summary>Makes the error for a kernel of rounded activations that was run without a scheme.</summary>
    public static InvalidOperationException NoScheme(string kernel) =>
        new($"{kernel} multiplies codes of activations: expected an activation scheme, got none; run a kernel for floating point.");

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(Codes);
        NativeMemory.AlignedFree(Scales);
        NativeMemory.AlignedFree(ZeroPoints);
        Codes = null;
        Scales = null;
        ZeroPoints = null;
    }

    private bool TryRound(Tensor input, ActivationScheme scheme, int rows)
    {
        if (TokenRounding.Of(scheme, input.dtype) is not { } rounding)
        {
            return false;
        }

        int infinite = 0;
        using Tensor wide = input.to(ScalarType.Float32);
        ParallelRows.Run(rows, Math.Max(1, ElementsPerWorker / Math.Max(1, length)), new Job
        {
            Rounding = rounding,
            X = TensorMemory.Address<float>(wide),
            Length = length,
            Codes = Codes,
            Scales = Scales,
            ZeroPoints = ZeroPoints,
            Infinite = &infinite,
        });
        return infinite == 0;
    }

    private void RoundByScheme(Tensor input, ActivationScheme scheme, int rows)
    {
        (Tensor codes, QParams qparams) = scheme.Quantize(input);
        using (codes)
        using (qparams)
        {
            TensorMemory.ReadOnlySpan<sbyte>(codes).CopyTo(new Span<sbyte>(Codes, checked(rows * length)));
            using Tensor scale = qparams.Scale.to(ScalarType.Float32).reshape(-1).expand(rows).contiguous();
            TensorMemory.ReadOnlySpan<float>(scale).CopyTo(new Span<float>(Scales, rows));
            if (qparams.ZeroPoint is { } zeroPoint)
            {
                using Tensor zero = zeroPoint.to(ScalarType.Float32).reshape(-1).expand(rows).contiguous();
                TensorMemory.ReadOnlySpan<float>(zero).CopyTo(new Span<float>(ZeroPoints, rows));
            }
        }
    }

    private struct Job : IRowJob
    {
        public TokenRounding Rounding;
        public float* X;
        public int Length;
        public sbyte* Codes;
        public float* Scales;
        public float* ZeroPoints;
        public int* Infinite;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            for (long row = begin; row < end; row++)
            {
                if (!Rounding.TryRound(X + (row * Length), Length, Codes + (row * Length), out float scale, out int zero))
                {
                    *Infinite = 1; // any worker may write it; none takes it back
                    return;
                }

                Scales[row] = scale;
                if (ZeroPoints != null)
                {
                    ZeroPoints[row] = zero;
                }
            }
        }
    }
}
