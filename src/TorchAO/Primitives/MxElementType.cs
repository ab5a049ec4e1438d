using System.Text.Json.Serialization;

namespace TorchAO.Primitives;

/// <summary>The element types of the OCP Microscaling Formats (MX) specification 1.0 that torchao has; its int8 is not among them.</summary>
public enum MxElementType
{
    /// <summary>8 bits: 4 of exponent, 3 of fraction, at most 448.</summary>
    [JsonStringEnumMemberName("float8_e4m3fn")]
    Float8E4M3,

    /// <summary>8 bits: 5 of exponent, 2 of fraction, at most 57344.</summary>
    [JsonStringEnumMemberName("float8_e5m2")]
    Float8E5M2,

    /// <summary>6 bits: 3 of exponent, 2 of fraction, at most 28.</summary>
    [JsonStringEnumMemberName("fp6_e3m2")]
    Float6E3M2,

    /// <summary>6 bits: 2 of exponent, 3 of fraction, at most 7.5.</summary>
    [JsonStringEnumMemberName("fp6_e2m3")]
    Float6E2M3,

    /// <summary>4 bits: 2 of exponent, 1 of fraction, at most 6.</summary>
    [JsonStringEnumMemberName("fp4_e2m1")]
    Float4E2M1,
}
