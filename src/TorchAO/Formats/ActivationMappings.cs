using TorchAO.Primitives;

namespace TorchAO.Formats;

/// <summary>What a config's mapping of activations means: the same for all formats.</summary>
internal static class ActivationMappings
{
    /// <summary>Gets the int8 scheme of a mapping.</summary>
    /// <exception cref="QuantizationException">Activations have no such mapping.</exception>
    public static ActivationScheme Int8(MappingType mapping) => mapping switch
    {
        MappingType.Symmetric => ActivationScheme.Int8PerToken,
        MappingType.Asymmetric => ActivationScheme.Int8PerTokenAsymmetric,
        _ => throw new QuantizationException(
            $"ActMappingType is {mapping}, expected MappingType.Symmetric or MappingType.Asymmetric."),
    };
}
