namespace TorchAO.Kernels.Cpu;

/// <summary>One weight row of integer codes, one a byte.</summary>
/// <param name="codes">The codes, K of them.</param>
/// <param name="scales">The scales, K / group of them.</param>
/// <param name="zeros">What is subtracted from the codes of each group: small whole numbers, so that the difference is exact;
/// <see langword="null"/> for nothing.</param>
/// <param name="length">K.</param>
/// <param name="groupSize">Codes that share a scale; divides K.</param>
internal readonly unsafe ref struct CodeRow(sbyte* codes, float* scales, float* zeros, int length, int groupSize)
{
    public sbyte* Codes => codes;

    public float* Scales => scales;

    public float* Zeros => zeros;

    public int Length => length;

    public int GroupSize => groupSize;
}
