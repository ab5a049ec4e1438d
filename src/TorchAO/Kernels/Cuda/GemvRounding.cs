using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>How a launch rounds activations before it multiplies them: <c>ROUND_*</c> in <c>gemv_arguments.cuh</c>.</summary>
internal enum GemvRounding
{
    None = 0,

    /// <summary>int8, one scale a token, the arithmetic of the activations' own type.</summary>
    Symmetric = 1,

    /// <summary>int8, one scale a token, arithmetic in float32.</summary>
    Wide = 2,

    /// <summary>int8, one scale and zero point a token.</summary>
    Asymmetric = 3,

    /// <summary>float8 e4m3, one scale a token.</summary>
    Float8E4M3 = 4,
}

/// <summary>Finds the rounding of a scheme.</summary>
internal static class GemvRoundings
{
    /// <summary>Finds the rounding of a scheme.</summary>
    /// <param name="scheme">The scheme.</param>
    /// <param name="type">The type of activations.</param>
    /// <param name="rows">Activation rows. A scale for all of one row is that row's.</param>
    /// <returns><see langword="null"/> where the kernels do not have it.</returns>
    public static GemvRounding? Of(ActivationScheme? scheme, ScalarType type, long rows) => scheme switch
    {
        null => GemvRounding.None,
        { StaticScale: not null } => null,
        { IsPerTensor: true } when rows > 1 => null,
        { Target.Storage: ScalarTypes.Float8E4M3 } => GemvRounding.Float8E4M3,
        { Target: { IsFloat: false, Storage: ScalarType.Int8, Min: -127, Max: 127 }, Mapping: MappingType.Symmetric } =>
            scheme.Arithmetic(type).ScaleType == type ? GemvRounding.Symmetric : GemvRounding.Wide,
        { Target: { IsFloat: false, Storage: ScalarType.Int8, Min: -128, Max: 127 }, Mapping: MappingType.Asymmetric } => GemvRounding.Asymmetric,
        _ => null,
    };

    /// <summary>Gets the smallest step that a scheme takes for activations of a type.</summary>
    public static float SmallestStep(ActivationScheme scheme, ScalarType type) => (float)(scheme.Arithmetic(type).Epsilon ?? finfo(type).eps);
}
