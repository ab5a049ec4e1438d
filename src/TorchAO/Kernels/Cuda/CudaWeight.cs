using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>A weight <c>[N, K]</c> on a CUDA device as kernels of few rows read it: codes and scales in their stored order.</summary>
/// <remarks>A view: holds the tensors of the weight that it was made from, which must live as long as launches with it.</remarks>
public sealed class CudaWeight
{
    private readonly Tensor codes;
    private readonly StoredCodes? stored;

    /// <summary>Looks at codes with scales.</summary>
    /// <param name="stored">Signed bytes, nibbles or float8.</param>
    /// <param name="shape">N and K.</param>
    /// <exception cref="ArgumentException">Codes of another kind.</exception>
    internal CudaWeight(StoredCodes stored, IReadOnlyList<long> shape)
        : this(CodeOf(stored), stored.Codes, shape)
    {
        this.stored = stored;
        Groups = checked((int)stored.Scale.size(1));
    }

    private CudaWeight(CudaCode code, Tensor codes, IReadOnlyList<long> shape)
    {
        (Code, this.codes, Groups) = (code, codes, 1);
        (OutFeatures, InFeatures) = (checked((int)shape[0]), checked((int)shape[1]));
    }

    /// <summary>Looks at a weight in 16-bit floating point.</summary>
    /// <param name="weight">bfloat16 or float16 <c>[N, K]</c>, contiguous.</param>
    /// <exception cref="ArgumentException">It has another type, rank or order.</exception>
    public static CudaWeight OfTensor(Tensor weight)
    {
        ArgumentNullException.ThrowIfNull(weight);
        return weight.dim() == 2 && weight.is_contiguous() && weight.dtype is ScalarType.BFloat16 or ScalarType.Float16
            ? new CudaWeight(CudaCode.Half, weight, weight.shape)
            : throw new ArgumentException(
                $"got {TensorMemory.Describe(weight)}, expected a contiguous matrix in BFloat16 or Float16.", nameof(weight));
    }

    /// <summary>Gets N.</summary>
    public int OutFeatures { get; }

    /// <summary>Gets K.</summary>
    public int InFeatures { get; }

    /// <summary>Gets the bytes that one product reads.</summary>
    public long Bytes => Size(codes) + Size(stored?.Scale) + Size(stored?.ZeroPoint);

    /// <summary>Gets what a code is.</summary>
    internal CudaCode Code { get; }

    /// <summary>Gets how many runs of a row have a scale of their own.</summary>
    internal int Groups { get; }

    /// <summary>Gets the features that share a scale; 0 where a row has one scale and no zero point, which can be applied at the end.</summary>
    internal int GroupSize => Groups == 1 && ZeroKind == CudaZeroPoint.None ? 0 : InFeatures / Groups;

    /// <summary>Gets what zero points are.</summary>
    internal CudaZeroPoint ZeroKind => stored?.ZeroKind ?? CudaZeroPoint.None;

    /// <summary>Gets how many scales lie between those of a row and of the next; 0 where all rows share one.</summary>
    internal int ScaleStride => stored?.ScaleStride ?? 0;

    /// <summary>Gets the type of scales; <see langword="null"/> where there are none or kernels do not have it.</summary>
    internal CudaNumber? ScaleNumber => stored is null ? null : CudaNumbers.Find(stored.Scale.dtype);

    /// <summary>Gets the address of the codes.</summary>
    internal nint Codes => TensorMemory.DeviceAddress(codes);

    /// <summary>Gets the address of the scales, or 0.</summary>
    internal nint Scale => AddressOf(stored?.Scale);

    /// <summary>Gets the address of the zero points, or 0.</summary>
    internal nint ZeroPoint => AddressOf(stored?.ZeroPoint);

    /// <summary>Says why products with activations of a type cannot be computed, or <see langword="null"/> if they can.</summary>
    /// <param name="activation">The type of activations.</param>
    public string? ReasonToRefuse(ScalarType activation) => ReasonToRefuse(activation, InFeatures, InFeatures / Groups) ?? this switch
    {
        _ when Code == CudaCode.Half && codes.dtype != activation => $"the weight is {codes.dtype}, the activations are {activation}",
        _ when stored is not null && ScaleNumber is null => $"scales in {stored.Scale.dtype}",
        _ when ZeroKind == CudaZeroPoint.Value && stored!.ZeroPoint!.dtype != stored.Scale.dtype =>
            $"zero points in {stored.ZeroPoint.dtype} beside scales in {stored.Scale.dtype}",
        _ => null,
    };

    /// <summary>Says the same of every weight with such groups, as far as these tell.</summary>
    internal static string? ReasonToRefuse(ScalarType activation, long inFeatures, long groupSize) => (inFeatures, groupSize) switch
    {
        _ when activation is not (ScalarType.BFloat16 or ScalarType.Float16) => $"takes BFloat16 or Float16 activations, not {activation}",
        _ when inFeatures % 32 != 0 => $"{inFeatures} input features, expected a multiple of 32",
        _ when groupSize != inFeatures && (groupSize < 32 || !long.IsPow2(groupSize)) =>
            $"groups of {groupSize}, expected a power of two from 32 on, or rows",
        _ => null,
    };

    private static CudaCode CodeOf(StoredCodes stored) => (stored.Layout, stored.Value) switch
    {
        (CodeLayout.Bytes, CodeValue.Signed) => CudaCode.Int8,
        (CodeLayout.Nibbles, CodeValue.Unsigned) => CudaCode.Int4,
        (CodeLayout.Bytes, CodeValue.Float8E4M3) => CudaCode.E4M3,
        (CodeLayout.Bytes, CodeValue.Float8E5M2) => CudaCode.E5M2,
        _ => throw new ArgumentException(
            $"got {stored.Value} codes in {stored.Layout}, expected signed bytes, nibbles or float8.", nameof(stored)),
    };

    private static nint AddressOf(Tensor? tensor) => tensor is null ? 0 : TensorMemory.DeviceAddress(tensor);

    private static long Size(Tensor? tensor) => tensor is null ? 0 : tensor.numel() * tensor.element_size();
}
