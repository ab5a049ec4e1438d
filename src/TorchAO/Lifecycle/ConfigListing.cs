using TorchAO.Formats;

namespace TorchAO.Lifecycle;

/// <summary>A config as a listing shows it: what may be written for it, and its options.</summary>
/// <param name="Name">The whole name, such as <c>int4_weight_only</c>.</param>
/// <param name="ShortName">The short name, such as <c>int4wo</c>; <see langword="null"/> where there is none.</param>
/// <param name="TakesGroupSize">Whether <c>-32</c> behind either name stands for a group size.</param>
/// <param name="Options">The options in the order of the config's class.</param>
/// <param name="Format">The name of the format that it makes.</param>
public sealed record ConfigListing(
    string Name, string? ShortName, bool TakesGroupSize, IReadOnlyList<ConfigOption> Options, string Format)
{
    /// <summary>Gets what is shortest to write, such as <c>int4wo-32</c>: with a group size where the config has one.</summary>
    public string Shortest => (ShortName ?? Name) + (TakesGroupSize ? "-32" : string.Empty);

    /// <summary>Lists the configs of a catalogue in its order.</summary>
    public static IReadOnlyList<ConfigListing> Of(FormatCatalog catalog)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return [.. catalog.Handlers.Select(handler =>
        {
            IReadOnlyList<ConfigOption> options = ConfigText.OptionsOf(catalog, handler);
            string brief = ConfigText.ShortName(handler);
            return new ConfigListing(
                handler.ConfigName,
                brief == handler.ConfigName ? null : brief,
                options.Any(option => option.Name == ConfigText.GroupSizeOption),
                options,
                handler.FormatName);
        })];
    }
}
