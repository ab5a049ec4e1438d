namespace TorchAO.Peers;

/// <summary>What a product does with its activations: only contestants of one kind compute alike.</summary>
internal enum Arithmetic
{
    /// <summary>Activations stay in floating point.</summary>
    FloatActivations,

    /// <summary>Activations are rounded to 8-bit integers within the measured time, and multiplied as integers.</summary>
    Int8Activations,

    /// <summary>Activations are 8-bit integers before the clock starts, results may be unscaled: a part of the work.</summary>
    IntegerProductOnly,
}
