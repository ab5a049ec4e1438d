using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Fused;

/// <summary>Rows of codes of a byte under one scale a row.</summary>
internal abstract unsafe class StoredScaledRows : StoredRows
{
    private readonly Tensor codes; // keep the addresses valid
    private readonly Tensor scale;
    private readonly delegate*<byte*, float, float*, int, void> decode;

    private protected StoredScaledRows(Tensor codes, Tensor scale, ScalarType type, delegate*<byte*, float, float*, int, void> decode)
        : base(codes, type, checked((int)codes.size(-1)))
    {
        RequireLike(scale, codes, 1, nameof(scale));
        (this.codes, this.scale) = (codes, scale);
        this.decode = decode;
        Codes = TensorMemory.Address<byte>(codes);
        Scales = new StoredNumbers(scale);
    }

    private protected byte* Codes { get; }

    private protected StoredNumbers Scales { get; }

    private protected override float* Read(long index, int count, float* scratch)
    {
        for (int i = 0; i < count; i++)
        {
            decode(Codes + ((index + i) * Size), Scales[index + i], scratch + ((long)i * Size), Size);
        }

        GC.KeepAlive(codes);
        GC.KeepAlive(scale);
        return scratch;
    }
}
