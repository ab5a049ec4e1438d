namespace TorchAO.Formats.Mx.Kernels;

/// <summary>One row of an MX weight in canonical storage.</summary>
/// <param name="codes">The codes as a stream of bits, the first in the highest bits.</param>
/// <param name="scales">The exponents, K / block of them.</param>
/// <param name="length">K.</param>
/// <param name="blockSize">Codes that share a scale.</param>
internal readonly unsafe ref struct MxRow(byte* codes, byte* scales, int length, int blockSize)
{
    public byte* Codes => codes;

    public byte* Scales => scales;

    public int Length => length;

    public int BlockSize => blockSize;
}
