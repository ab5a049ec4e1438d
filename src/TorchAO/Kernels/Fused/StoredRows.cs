using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Fused;

/// <summary>Keys or values of all heads as a cache stores them, read and written row by row without a tensor operator.</summary>
/// <remarks>
/// Codes and scales are those of the tensor arithmetic that fills the same cache, bit for bit but for the sign of a zero: a token that
/// was written here and one that was written there look alike. Holds the components, does not own them: they must outlive it and keep
/// their place. Not thread-safe against a writer of the same rows.
/// </remarks>
public abstract unsafe class StoredRows
{
    private protected StoredRows(Tensor rows, ScalarType type, int size)
    {
        if (type is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16) || rows.dim() != 4)
        {
            throw new ArgumentException(
                $"rows {TensorMemory.Describe(rows)} of a model in {type}, expected [B, KV, T, …] of a model in Float32, BFloat16 or " +
                "Float16.", nameof(rows));
        }

        (Heads, Capacity, Size, Type) = (rows.size(0) * rows.size(1), rows.size(2), size, type);
    }

    /// <summary>Gets the count of heads of all sequences, B · KV.</summary>
    public long Heads { get; }

    /// <summary>Gets how many tokens a head has room for.</summary>
    public long Capacity { get; }

    /// <summary>Gets D, the numbers of a row.</summary>
    public int Size { get; }

    /// <summary>Gets the type in which the model computes keys and values; rows are rounded to it before they are stored.</summary>
    public ScalarType Type { get; }

    /// <summary>Looks at rows that are stored in floating point.</summary>
    /// <param name="rows">Rows <c>[B, KV, T, D]</c>, float32, bfloat16 or float16, contiguous, on the CPU.</param>
    /// <exception cref="ArgumentException">The tensor is another.</exception>
    public static StoredRows Float(Tensor rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return new StoredFloatRows(rows);
    }

    /// <summary>Looks at int8 codes −127…127 under a scale a token and head, <c>s = amax / 127</c>.</summary>
    /// <param name="codes">Codes <c>[B, KV, T, D]</c>, int8, contiguous, on the CPU.</param>
    /// <param name="scale">Scales <c>[B, KV, T, 1]</c>, in the model's type, or float32.</param>
    /// <param name="type">The model's type.</param>
    /// <exception cref="ArgumentException">A tensor is another.</exception>
    public static StoredRows Int8(Tensor codes, Tensor scale, ScalarType type)
    {
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentNullException.ThrowIfNull(scale);
        return new StoredInt8Rows(codes, scale, type);
    }

    /// <summary>Looks at float8 e4m3fn codes under a scale a token and head, <c>s = amax / 448</c>.</summary>
    /// <param name="codes">Codes <c>[B, KV, T, D]</c>, float8 e4m3fn, contiguous, on the CPU.</param>
    /// <param name="scale">Scales <c>[B, KV, T, 1]</c>, float32.</param>
    /// <param name="type">The model's type.</param>
    /// <exception cref="ArgumentException">A tensor is another.</exception>
    public static StoredRows Float8(Tensor codes, Tensor scale, ScalarType type)
    {
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentNullException.ThrowIfNull(scale);
        return new StoredFloat8Rows(codes, scale, type);
    }

    /// <summary>Looks at 4-bit codes 0…15 with a step and a least value for each group, <c>x ≈ code · step + least</c>.</summary>
    /// <param name="packed">Codes <c>[B, KV, T, D / 2]</c>, uint8, the first of two in the high bits, contiguous, on the CPU.</param>
    /// <param name="step">Steps <c>[B, KV, T, D / group]</c>, in the model's type.</param>
    /// <param name="least">Least values, like the steps.</param>
    /// <exception cref="ArgumentException">A tensor is another.</exception>
    public static StoredRows Int4(Tensor packed, Tensor step, Tensor least)
    {
        ArgumentNullException.ThrowIfNull(packed);
        ArgumentNullException.ThrowIfNull(step);
        ArgumentNullException.ThrowIfNull(least);
        return new StoredInt4Rows(packed, step, least);
    }

    /// <summary>Stores the row of one token and head.</summary>
    /// <param name="head">The head, counted through all sequences.</param>
    /// <param name="position">The token.</param>
    /// <param name="row">The numbers <c>[D]</c>.</param>
    /// <exception cref="ArgumentException">The row has another length.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such head or token.</exception>
    public void Store(long head, long position, ReadOnlySpan<float> row)
    {
        RequireRange(head, position, 1);
        SpanLengths.Require(row.Length == Size, nameof(row), row.Length, Size);
        fixed (float* values = row)
        {
            Store(Index(head, position), values);
        }
    }

    /// <summary>Reads the rows of neighbouring tokens of one head.</summary>
    /// <param name="head">The head, counted through all sequences.</param>
    /// <param name="position">The first token.</param>
    /// <param name="rows">Room for whole rows <c>[n, D]</c>; says n.</param>
    /// <exception cref="ArgumentException">The room is not for whole rows.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such head or token.</exception>
    public void Read(long head, long position, Span<float> rows)
    {
        SpanLengths.RequireRows(rows.Length, Size, nameof(rows));
        int count = rows.Length / Size;
        RequireRange(head, position, count);
        fixed (float* values = rows)
        {
            float* read = Read(head, position, count, values);
            if (read != values)
            {
                new ReadOnlySpan<float>(read, rows.Length).CopyTo(rows);
            }
        }
    }

    /// <summary>Gets rows of one head without a check: in place where they are float32, decoded into the scratch space otherwise.</summary>
    internal float* Read(long head, long position, int count, float* scratch) => Read(Index(head, position), count, scratch);

    private protected abstract void Store(long index, float* row);

    private protected abstract float* Read(long index, int count, float* scratch);

    /// <summary>Rounds a number to the model's type.</summary>
    internal float Round(float value) => Type switch
    {
        ScalarType.Float32 => value,
        ScalarType.BFloat16 => Numerics.BFloat16.Round(value),
        _ => (float)(Half)value,
    };

    private protected static void RequireLike(Tensor component, Tensor rows, long last, string name)
    {
        if (component.dim() != 4 || component.size(0) != rows.size(0) || component.size(1) != rows.size(1)
            || component.size(2) != rows.size(2) || component.size(3) != last)
        {
            throw new ArgumentException(
                $"{name} is {TensorMemory.Describe(component)} beside codes {TensorMemory.Describe(rows)}, expected " +
                $"[{rows.size(0)}, {rows.size(1)}, {rows.size(2)}, {last}]; pass the components of one cache.", name);
        }
    }

    private long Index(long head, long position) => (head * Capacity) + position;

    private void RequireRange(long head, long position, long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(head);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(head, Heads);
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(position, Capacity - count);
    }
}
