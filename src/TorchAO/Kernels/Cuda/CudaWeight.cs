using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>A weight <c>[N, K]</c> on a CUDA device as kernels of few rows read it: codes and scales in their stored order.</summary>
/// <remarks>A view: holds the tensors of the weight that it was made from, which must live as long as launches with it.</remarks>
public sealed class CudaWeight
{
    private readonly Tensor codes;
    private readonly Tensor? scale;
    private readonly Tensor? zeroPoint;

    /// <summary>Looks at a weight.</summary>
    /// <param name="code">What a code is.</param>
    /// <param name="shape">N and K.</param>
    /// <param name="codes">The codes.</param>
    /// <param name="scale">Scales <c>[N, groups]</c>, or one; <see langword="null"/> where codes are values.</param>
    /// <param name="zeroPoint"><c>[N, groups]</c>: the values of the middle code in the type of the scales, or the codes of value 0 in
    /// uint8; <see langword="null"/> where the middle code stands for 0.</param>
    internal CudaWeight(CudaCode code, IReadOnlyList<long> shape, Tensor codes, Tensor? scale = null, Tensor? zeroPoint = null)
    {
        (Code, this.codes, this.scale, this.zeroPoint) = (code, codes, scale, zeroPoint);
        (OutFeatures, InFeatures) = (checked((int)shape[0]), checked((int)shape[1]));
        Groups = scale is null ? 1 : checked((int)scale.size(1));
    }

    /// <summary>Looks at a weight in 16-bit floating point.</summary>
    /// <param name="weight">bfloat16 or float16 <c>[N, K]</c>, contiguous.</param>
    /// <exception cref="ArgumentException">It has another type, rank or order.</exception>
    public static CudaWeight OfTensor(Tensor weight)
    {
        ArgumentNullException.ThrowIfNull(weight);
        return weight.dim() == 2 && weight.is_contiguous() && weight.dtype is ScalarType.BFloat16 or ScalarType.Float16
            ? new CudaWeight(CudaCode.Half, weight.shape, weight)
            : throw new ArgumentException(
                $"got {TensorMemory.Describe(weight)}, expected a contiguous matrix in BFloat16 or Float16.", nameof(weight));
    }

    /// <summary>Gets N.</summary>
    public int OutFeatures { get; }

    /// <summary>Gets K.</summary>
    public int InFeatures { get; }

    /// <summary>Gets the bytes that one product reads.</summary>
    public long Bytes => Size(codes) + Size(scale) + Size(zeroPoint);

    /// <summary>Gets what a code is.</summary>
    internal CudaCode Code { get; }

    /// <summary>Gets how many runs of a row have a scale of their own.</summary>
    internal int Groups { get; }

    /// <summary>Gets the features that share a scale; 0 where a row has one scale and no zero point, which can be applied at the end.</summary>
    internal int GroupSize => Groups == 1 && zeroPoint is null ? 0 : InFeatures / Groups;

    /// <summary>Gets what zero points are; the values of <c>ZERO</c> in kernel files.</summary>
    internal CudaZeroPoint ZeroPointKind => zeroPoint switch
    {
        null => CudaZeroPoint.None,
        { dtype: ScalarType.Byte } => CudaZeroPoint.Code,
        _ => CudaZeroPoint.Value,
    };

    /// <summary>Gets whether all rows share one scale.</summary>
    internal bool IsPerTensor => scale is not null && scale.size(0) == 1 && OutFeatures != 1;

    /// <summary>Gets the type of scales; that of activations where there are none.</summary>
    internal CudaNumber? ScaleNumber => scale is null ? null : CudaNumbers.Find(scale.dtype);

    /// <summary>Gets the address of the codes.</summary>
    internal nint Codes => TensorMemory.DeviceAddress(codes);

    /// <summary>Gets the address of the scales, or 0.</summary>
    internal nint Scale => scale is null ? 0 : TensorMemory.DeviceAddress(scale);

    /// <summary>Gets the address of the zero points, or 0.</summary>
    internal nint ZeroPoint => zeroPoint is null ? 0 : TensorMemory.DeviceAddress(zeroPoint);

    /// <summary>Says why products with activations of a type cannot be computed, or <see langword="null"/> if they can.</summary>
    /// <param name="activation">The type of activations.</param>
    public string? ReasonToRefuse(ScalarType activation) => ReasonToRefuse(activation, InFeatures, InFeatures / Groups) ?? this switch
    {
        _ when Code == CudaCode.Half && codes.dtype != activation => $"the weight is {codes.dtype}, the activations are {activation}",
        _ when scale is not null && ScaleNumber is null => $"scales in {scale.dtype}",
        _ when zeroPoint is not null && zeroPoint.dtype != ScalarType.Byte && zeroPoint.dtype != scale!.dtype =>
            $"zero points in {zeroPoint.dtype} beside scales in {scale.dtype}",
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

    private static long Size(Tensor? tensor) => tensor is null ? 0 : tensor.numel() * tensor.element_size();
}
