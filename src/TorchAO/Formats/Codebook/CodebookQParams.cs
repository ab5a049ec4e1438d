using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Formats.Codebook;

/// <summary>Scales, and the table that all rows share.</summary>
/// <param name="Scale">Scales <c>[N, K / scale block]</c>, float32.</param>
/// <param name="Codebook">Entries <c>[2ᵇ, block]</c>, float32.</param>
internal sealed record CodebookQParams(Tensor Scale, Tensor Codebook) : QParams(Scale)
{
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Codebook.Dispose();
        }

        base.Dispose(disposing);
    }
}
