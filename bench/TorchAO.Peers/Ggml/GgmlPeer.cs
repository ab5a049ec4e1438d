using System.Runtime.InteropServices;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Peers.Ggml;

/// <summary>ggml's products in this process, weights stored as a GGUF file has them, and in the order of its fastest kernels.</summary>
internal sealed unsafe class GgmlPeer : IPeer
{
    private readonly GgmlLibrary? library = GgmlLibrary.Find();

    /// <inheritdoc/>
    public string Name => library is null
        ? "ggml"
        : $"ggml {Marshal.PtrToStringUTF8(GgmlNative.Version())} ({library.Kernels}, of the npm package node-llama-cpp)";

    /// <inheritdoc/>
    public string? Absence => library is null ? $"its libraries are not there: {GgmlLibrary.Remedy}" : null;

    /// <inheritdoc/>
    public IEnumerable<Contestant> Enter(Tensor weight, int threads)
    {
        nint plain = GgmlNative.BufferType(library!.Device), repacking = library.RepackingBufferType();
        foreach (GgmlType type in (GgmlType[])[GgmlType.Q4_0, GgmlType.Q4_K, GgmlType.Q8_0])
        {
            if (weight.size(1) % (type == GgmlType.Q4_K ? 256 : 32) != 0)
            {
                continue;
            }

            byte[] blocks = Quantize(weight, type);
            string name = $"ggml {type}";
            yield return new GgmlContestant(library, name, type, weight.shape, blocks, plain, threads);
            if (GgmlContestant.TryRepack(library, $"{name}, repacked", type, weight.shape, blocks, repacking, threads) is { } fast)
            {
                yield return fast;
            }
        }
    }

    /// <summary>Stores rows in a type of ggml, by its own function.</summary>
    public static byte[] Quantize(Tensor weight, GgmlType type)
    {
        (long n, long k) = (weight.size(0), weight.size(1));
        float* from = (float*)TensorMemory.Address<float>(weight);
        long rowBytes = RowBytes(type, k);
        byte[] blocks = GC.AllocateUninitializedArray<byte>(checked((int)(n * rowBytes)));
        fixed (byte* to = blocks)
        {
            byte* target = to;
            ParallelRows.Run(n, 16, (begin, end) =>
                GgmlNative.Quantize((int)type, from, target, begin * k, end - begin, k, null));
        }

        GC.KeepAlive(weight);
        return blocks;
    }

    /// <summary>Counts the bytes of a row of K values.</summary>
    public static long RowBytes(GgmlType type, long k) => type switch
    {
        GgmlType.F32 => 4 * k,
        GgmlType.Q4_0 => k / 32 * 18,
        GgmlType.Q8_0 => k / 32 * 34,
        GgmlType.Q4_K => k / 256 * 144,
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };
}
