namespace TorchAO.Configuration;

/// <summary>What a caller wants done to a module's weight. Nothing but data; a format's handler carries it out.</summary>
/// <remarks>The counterpart of torchao's <c>AOBaseConfig</c>. Records compare by value and are safe to share.</remarks>
public abstract record QuantizeConfig;
