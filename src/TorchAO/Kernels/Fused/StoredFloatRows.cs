using TorchAO.Runtime.Memory;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TorchAO.Kernels.Fused;

/// <summary>Rows in floating point: float32 in place, 16-bit types widened by the codecs of Numerics and of the base class library.</summary>
internal sealed unsafe class StoredFloatRows : StoredRows
{
    private readonly Tensor rows; // keeps the address valid
    private readonly byte* address;

    public StoredFloatRows(Tensor rows)
        : base(rows, rows.dtype, checked((int)rows.size(-1)))
    {
        this.rows = rows;
        address = TensorMemory.Address<byte>(rows);
    }

    private protected override void Store(long index, float* row)
    {
        var source = new ReadOnlySpan<float>(row, Size);
        switch (Type)
        {
            case ScalarType.Float32:
                source.CopyTo(new Span<float>((float*)address + (index * Size), Size));
                break;
            case ScalarType.BFloat16:
                Numerics.BFloat16.Encode(source, new Span<ushort>((ushort*)address + (index * Size), Size));
                break;
            default:
                TensorPrimitives.ConvertToHalf(source, new Span<Half>((Half*)address + (index * Size), Size));
                break;
        }

        GC.KeepAlive(rows);
    }

    private protected override float* Read(long index, int count, float* scratch)
    {
        int length = count * Size;
        switch (Type)
        {
            case ScalarType.Float32:
                return (float*)address + (index * Size);
            case ScalarType.BFloat16:
                Numerics.BFloat16.Decode(
                    new ReadOnlySpan<ushort>((ushort*)address + (index * Size), length), new Span<float>(scratch, length));
                return scratch;
            default:
                TensorPrimitives.ConvertToSingle(
                    new ReadOnlySpan<Half>((Half*)address + (index * Size), length), new Span<float>(scratch, length));
                return scratch;
        }
    }
}
