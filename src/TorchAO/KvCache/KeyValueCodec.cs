using TorchAO.Kernels.Fused;
using TorchAO.Primitives;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.KvCache;

/// <summary>Turns keys or values <c>[B, KV, T, D]</c> into components <c>[B, KV, T, …]</c> and back: what a cache stores of them.</summary>
/// <remarks>Stateless. Components of several tokens are those of each token, one after the other, so that caches append.</remarks>
public abstract class KeyValueCodec
{
    private const long Int4Group = 32;
    private const float SmallestScale = 1e-5f; // as in torchao's activations

    private KeyValueCodec()
    {
    }

    /// <summary>Gets the codec of a format.</summary>
    /// <param name="format">The format.</param>
    /// <param name="headSize">D.</param>
    /// <exception cref="QuantizationException">Two 4-bit numbers a byte do not fill a head of this size.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
    public static KeyValueCodec Of(KeyValueFormat format, int headSize) => format switch
    {
        KeyValueFormat.Float => new FloatCodec(),
        KeyValueFormat.Int8 => new SymmetricCodec(ActivationScheme.Int8PerToken),
        KeyValueFormat.Float8 => new SymmetricCodec(ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: false)),
        KeyValueFormat.Int4 => headSize % 2 == 0
            ? new Int4Codec(headSize % Int4Group == 0 ? Int4Group : headSize)
            : throw new QuantizationException(
                $"an int4 cache of heads of {headSize} numbers: expected an even count, for two a byte; take int8 or float8."),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "expected a member of KeyValueFormat."),
    };

    /// <summary>Encodes.</summary>
    /// <param name="rows">Keys or values <c>[B, KV, T, D]</c>, float32, float16 or bfloat16.</param>
    /// <returns>Components, whose first three dimensions are those of the rows. The caller disposes them.</returns>
    public abstract IReadOnlyList<Tensor> Encode(Tensor rows);

    /// <summary>Decodes.</summary>
    /// <param name="components">Components as <see cref="Encode"/> makes them, or a range of their tokens.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns>Rows <c>[B, KV, T, D]</c>; views of the components where nothing is to be decoded. The caller disposes them.</returns>
    public abstract Tensor Decode(IReadOnlyList<Tensor> components, ScalarType dtype);

    /// <summary>Looks at components for the kernels of a decode step, which read and write rows without a tensor operator.</summary>
    /// <param name="components">Components as <see cref="Encode"/> makes them, contiguous, on the CPU; not owned.</param>
    /// <param name="dtype">The type of the rows that were encoded.</param>
    /// <returns>A view, which is valid as long as the components live and keep their place.</returns>
    /// <exception cref="ArgumentException">The components are those of another codec, on another device or not contiguous.</exception>
    public abstract StoredRows Rows(IReadOnlyList<Tensor> components, ScalarType dtype);

    private sealed class FloatCodec : KeyValueCodec
    {
        public override IReadOnlyList<Tensor> Encode(Tensor rows) => [rows.alias()];

        public override Tensor Decode(IReadOnlyList<Tensor> components, ScalarType dtype) => components[0].alias();

        public override StoredRows Rows(IReadOnlyList<Tensor> components, ScalarType dtype) => StoredRows.Float(components[0]);
    }

    private sealed class SymmetricCodec(ActivationScheme scheme) : KeyValueCodec
    {
        public override IReadOnlyList<Tensor> Encode(Tensor rows)
        {
            (Tensor codes, QParams qparams) = scheme.Quantize(rows);
            return [codes, qparams.Scale];
        }

        public override Tensor Decode(IReadOnlyList<Tensor> components, ScalarType dtype)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor values = components[0].to_type(ScalarType.Float32) * components[1].to_type(ScalarType.Float32);
            return values.to_type(dtype).MoveToOuterDisposeScope();
        }

        public override StoredRows Rows(IReadOnlyList<Tensor> components, ScalarType dtype) => scheme.Target.IsFloat
            ? StoredRows.Float8(components[0], components[1], dtype)
            : StoredRows.Int8(components[0], components[1], dtype);
    }

    // Keys have a few channels that are large in every token (Liu et al. 2024, KIVI, arXiv:2402.02750): small groups and a least
    // value of their own keep these from costing all others their bits.
    private sealed class Int4Codec(long group) : KeyValueCodec
    {
        private const int Bits = 4;

        public override IReadOnlyList<Tensor> Encode(Tensor rows)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor groups = rows.to_type(ScalarType.Float32).reshape([.. rows.shape[..^1], -1, group]);
            Tensor least = groups.amin([-1]);
            Tensor step = ((groups.amax([-1]) - least) / 15).clamp(min: SmallestScale).to_type(rows.dtype);
            least = least.to_type(rows.dtype);
            Tensor codes = ((groups - least.unsqueeze(-1)) / step.unsqueeze(-1)).round().clamp(0, 15).to_type(ScalarType.Byte);
            Tensor packed = BitStreamRows.Pack(codes.reshape(-1, rows.size(-1)), Bits).reshape([.. rows.shape[..^1], -1]);
            return [packed.MoveToOuterDisposeScope(), step.MoveToOuterDisposeScope(), least.MoveToOuterDisposeScope()];
        }

        public override Tensor Decode(IReadOnlyList<Tensor> components, ScalarType dtype)
        {
            using DisposeScope scope = NewDisposeScope();
            (Tensor packed, Tensor step, Tensor least) = (components[0], components[1], components[2]);
            long[] shape = packed.shape[..^1];
            long size = packed.size(-1) * 8 / Bits;
            Tensor codes = BitStreamRows.Unpack(packed.reshape(-1, packed.size(-1)), Bits, size)
                .reshape([.. shape, -1, group]).to_type(ScalarType.Float32);
            Tensor values = (codes * step.to_type(ScalarType.Float32).unsqueeze(-1)) + least.to_type(ScalarType.Float32).unsqueeze(-1);
            return values.reshape([.. shape, -1]).to_type(dtype).MoveToOuterDisposeScope();
        }

        public override StoredRows Rows(IReadOnlyList<Tensor> components, ScalarType dtype) =>
            StoredRows.Int4(components[0], components[1], components[2]);
    }
}
