namespace TorchAO.Kernels.Cpu;

/// <summary>One weight row of codes that stand for the values of a table.</summary>
/// <param name="codes">The codes as a stream of bits, the first in the highest bits; the row begins a byte.</param>
/// <param name="bits">Bits of a code, 1 to 8.</param>
/// <param name="table">The values of the codes, <see cref="TableDot.TableLength"/> of them.</param>
/// <param name="scales">The scales, one a block.</param>
/// <param name="length">K.</param>
/// <param name="blockSize">Codes that share a scale: K, or a divisor of it that is a multiple of <see cref="TableDot.Step"/>.</param>
/// <param name="planes">The table as <see cref="PermuteDot.TryCut"/> cuts it, or <see langword="null"/>.</param>
internal readonly unsafe ref struct TableRow(
    byte* codes, int bits, float* table, float* scales, int length, int blockSize, byte* planes = null)
{
    public byte* Codes => codes;

    public int Bits => bits;

    public float* Table => table;

    public float* Scales => scales;

    public int Length => length;

    public int BlockSize => blockSize;

    public byte* Planes => planes;
}
