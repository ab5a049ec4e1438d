namespace TorchAO.KvCache;

/// <summary>How a cache stores the keys and values of the tokens that a model has seen.</summary>
public enum KeyValueFormat
{
    /// <summary>As the model computes them.</summary>
    Float,

    /// <summary>8-bit integers, one scale a token and head; torchao's <c>AffineQuantizedKVCache</c>.</summary>
    Int8,

    /// <summary>4-bit integers, a scale and a least value for each 32 numbers of a token and head (the whole head where 32 does not
    /// divide it).</summary>
    Int4,

    /// <summary>8-bit floating point (e4m3fn), one scale a token and head.</summary>
    Float8,
}
