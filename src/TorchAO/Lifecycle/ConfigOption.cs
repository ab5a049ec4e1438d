namespace TorchAO.Lifecycle;

/// <summary>An option of a config, as texts and as programs write it.</summary>
/// <param name="Name">Its name in texts and files, such as <c>group_size</c>.</param>
/// <param name="Property">The property of the config's class, such as <c>GroupSize</c>.</param>
/// <param name="Default">The value where nothing is said, as text; <c>none</c> for <see langword="null"/>.</param>
public sealed record ConfigOption(string Name, string Property, string Default);
