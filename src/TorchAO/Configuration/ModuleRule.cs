using TorchSharp;

namespace TorchAO.Configuration;

/// <summary>What to do with the modules whose names match a pattern.</summary>
/// <param name="Pattern">A module name in which <c>*</c> stands for any run of characters and <c>?</c> for one; or
/// <c>re:</c> and a regular expression over the whole name.</param>
/// <param name="Config">What to do; <see langword="null"/> leaves the modules as they are, on purpose.</param>
/// <param name="Device">Where the quantized weights go; where the weights are, if absent.</param>
public sealed record ModuleRule(string Pattern, QuantizeConfig? Config, torch.Device? Device = null);
