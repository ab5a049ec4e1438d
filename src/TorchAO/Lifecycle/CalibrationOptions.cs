using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Which layers a calibration watches, and whether each has a range of its own.</summary>
public sealed record CalibrationOptions
{
    /// <summary>Gets a filter over layers: module name and module; layers for which it is false are not watched.</summary>
    /// <value><see langword="null"/> (the default) takes every <c>Linear</c> in floating point.</value>
    public Func<string, nn.Module, bool>? Filter { get; init; }

    /// <summary>Gets whether one range spans the inputs of all layers.</summary>
    /// <value><see langword="false"/> by default: each layer has its own, which is more accurate. torchao's
    /// <c>insert_observers_</c> shares one.</value>
    public bool SharesRange { get; init; }

    /// <summary>Gets whether layers that the run never reached are left out of the result; otherwise they are an error.</summary>
    /// <value><see langword="false"/> by default.</value>
    public bool AllowUnseen { get; init; }
}
