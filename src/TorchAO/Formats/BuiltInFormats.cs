using TorchAO.Formats.BitNet;
using TorchAO.Formats.Codebook;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Floatx;
using TorchAO.Formats.Half;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Formats.Mx;
using TorchAO.Formats.Nf4;
using TorchAO.Formats.UIntX;

namespace TorchAO.Formats;

/// <summary>The one list of formats: a new format adds one line here.</summary>
public static class BuiltInFormats
{
    /// <summary>Gets the catalogue of all formats of this library.</summary>
    public static FormatCatalog Catalog { get; } = new(
        new Int8Format(),
        new Int4Format(),
        new Float8Format(),
        new UIntXFormat(),
        new FloatxFormat(),
        new MxFormat(),
        new Nf4Format(),
        new BitNetFormat(),
        new CodebookFormat(),
        new HalfFormat());
}
