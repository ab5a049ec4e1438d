using TorchAO.Configuration;

namespace TorchAO.Formats;

/// <summary>Look-up of formats and handlers over whatever list it is given.</summary>
/// <remarks>The rest of the library enumerates a catalogue and never names a format. <c>BuiltInFormats.Catalog</c> is the usual one.</remarks>
public sealed class FormatCatalog
{
    private readonly Dictionary<string, IFormat> formats;
    private readonly Dictionary<Type, IQuantizeHandler> byType;
    private readonly Dictionary<string, IQuantizeHandler> byName;

    /// <summary>Creates a catalogue.</summary>
    /// <param name="formats">The formats, in the order in which listings show them.</param>
    /// <exception cref="ArgumentException">Two formats or two configs share a name.</exception>
    public FormatCatalog(params IReadOnlyList<IFormat> formats)
    {
        ArgumentNullException.ThrowIfNull(formats);
        Formats = formats;
        this.formats = formats.ToDictionary(format => format.Name);
        byType = Handlers.ToDictionary(handler => handler.ConfigType);
        byName = Handlers.ToDictionary(handler => handler.ConfigName);
    }

    /// <summary>Gets the formats in listing order.</summary>
    public IReadOnlyList<IFormat> Formats { get; }

    /// <summary>Gets the handlers of all formats in listing order.</summary>
    public IEnumerable<IQuantizeHandler> Handlers => Formats.SelectMany(format => format.Handlers);

    /// <summary>Finds a format by its stable name.</summary>
    /// <exception cref="QuantizationException">No format has this name.</exception>
    public IFormat Format(string name) => formats.TryGetValue(name, out IFormat? format)
        ? format
        : throw new QuantizationException(
            $"format '{name}' is not in the catalogue; known: {string.Join(", ", formats.Keys)}. " +
            "Register the format that wrote it, or use a newer version of the library.");

    /// <summary>Finds the handler of a config by the config's type.</summary>
    /// <exception cref="QuantizationException">No format of the catalogue handles the config.</exception>
    public IQuantizeHandler Handler(QuantizeConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        return byType.TryGetValue(config.GetType(), out IQuantizeHandler? handler)
            ? handler
            : throw new QuantizationException(
                $"config {config.GetType().Name} has no handler in the catalogue; known: " +
                $"{string.Join(", ", byType.Keys.Select(type => type.Name))}. Pass a catalogue that lists its format.");
    }

    /// <summary>Finds the handler of a config by the config's stable name.</summary>
    /// <exception cref="QuantizationException">No config has this name.</exception>
    public IQuantizeHandler Handler(string configName) => byName.TryGetValue(configName, out IQuantizeHandler? handler)
        ? handler
        : throw new QuantizationException(
            $"config '{configName}' is not in the catalogue; known: {string.Join(", ", byName.Keys)}.");
}
