using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using TorchAO.Runtime.Cpu;

namespace TorchAO.Kernels.Fused;

/// <summary>The rows of attention that one worker does: a key head of a sequence over a stretch of the text.</summary>
internal unsafe struct AttentionTask : IRowJob
{
    /// <summary>Numbers of a partial sum beside its row: the largest score, and the sum of weights.</summary>
    public const int Facts = 2;

    // Decoded rows and weights of a block lie on the stack: 48 KB, what a first-level cache holds.
    private const int BlockNumbers = 12 * 1024;
    private const int LeastBlock = 8;
    private const int GreatestBlock = 64;

    public AttentionShape Shape;
    public AttentionInputs Inputs;
    public int Stretches;
    public float* Queries;
    public float* NewKeys;
    public float* NewValues;
    public StoredRows Keys;
    public StoredRows Values;
    public float* Partial;
    public float* Output;

    private readonly int Rows => Shape.Shared * Inputs.Count;

    private readonly long KeyWidth => (long)Shape.KeyValueHeads * Shape.HeadSize;

    /// <inheritdoc/>
    [SkipLocalsInit]
    public readonly void Run(long begin, long end)
    {
        int block = Math.Clamp(BlockNumbers / (Shape.HeadSize + Rows), LeastBlock, GreatestBlock);
        float* decoded = stackalloc float[block * Shape.HeadSize];
        float* weights = stackalloc float[block * Rows];
        int seen = Inputs.Past - Inputs.FirstSeen(0);
        for (long index = begin; index < end; index++)
        {
            (long head, long stretch) = (index / Stretches, index % Stretches);
            float* sums = Sums(index);
            for (int r = 0; r < Rows; r++)
            {
                float* row = sums + ((long)r * (Shape.HeadSize + Facts));
                new Span<float>(row, Shape.HeadSize + Facts).Clear();
                row[Shape.HeadSize] = float.NegativeInfinity;
            }

            int from = Inputs.FirstSeen(0) + (int)(seen * stretch / Stretches);
            int to = Inputs.FirstSeen(0) + (int)(seen * (stretch + 1) / Stretches);
            for (int at = from; at < to; at += block)
            {
                int count = Math.Min(block, to - at);
                float* keys = Keys.Read(head, at, count, decoded);
                Weigh(head, keys, Shape.HeadSize, at, count, weights, block, sums);
                float* values = Values.Read(head, at, count, decoded);
                Add(values, Shape.HeadSize, at, count, weights, block, sums);
            }

            if (stretch == Stretches - 1)
            {
                AddNew(head, weights, block, sums);
            }
        }
    }

    /// <summary>Joins the stretches of each row, and divides by the sum of weights.</summary>
    public readonly void Join(int heads)
    {
        int size = Shape.HeadSize;
        for (int head = 0; head < heads; head++)
        {
            for (int r = 0; r < Rows; r++)
            {
                float largest = float.NegativeInfinity;
                for (int s = 0; s < Stretches; s++)
                {
                    largest = MathF.Max(largest, Row(head, s, r)[size]);
                }

                var output = new Span<float>(Output + QueryOffset(head, r), size);
                output.Clear();
                float total = 0;
                for (int s = 0; s < Stretches; s++)
                {
                    float* row = Row(head, s, r);
                    float factor = MathF.Exp(row[size] - largest);
                    total += row[size + 1] * factor;
                    TensorPrimitives.MultiplyAdd(new ReadOnlySpan<float>(row, size), factor, output, output);
                }

                TensorPrimitives.Divide(output, total, output);
            }
        }
    }

    // The new tokens of the sequence, token by token from the first, in blocks like those of the cache.
    private readonly void AddNew(long head, float* weights, int block, float* sums)
    {
        long first = head / Shape.KeyValueHeads * Inputs.Count;
        long offset = (first * KeyWidth) + (head % Shape.KeyValueHeads * Shape.HeadSize);
        for (int at = 0; at < Inputs.Count; at += block)
        {
            int count = Math.Min(block, Inputs.Count - at);
            long begin = offset + (at * KeyWidth);
            Weigh(head, NewKeys + begin, KeyWidth, Inputs.Past + at, count, weights, block, sums);
            Add(NewValues + begin, KeyWidth, Inputs.Past + at, count, weights, block, sums);
        }
    }

    // Scores of all rows over a block of keys become weights against the largest score so far; what was summed before shrinks by as much
    // as that grew.
    private readonly void Weigh(long head, float* keys, long stride, int at, int count, float* weights, int block, float* sums)
    {
        int size = Shape.HeadSize;
        float factor = 1 / MathF.Sqrt(size);
        for (int r = 0; r < Rows; r++)
        {
            (int low, int high) = Seen(r, at, count);
            if (low == high)
            {
                continue;
            }

            float* scores = weights + ((long)r * block) + low;
            AttentionRows.BestScores(Queries + QueryOffset(head, r), keys + (low * stride), stride, high - low, size, factor, scores);
            var seen = new Span<float>(scores, high - low);
            float* row = sums + ((long)r * (size + Facts));
            float largest = MathF.Max(row[size], TensorPrimitives.Max(seen));
            TensorPrimitives.Subtract(seen, largest, seen);
            TensorPrimitives.Exp(seen, seen);
            if (largest != row[size])
            {
                float shrink = MathF.Exp(row[size] - largest);
                var sum = new Span<float>(row, size);
                TensorPrimitives.Multiply(sum, shrink, sum);
                row[size] = largest;
                row[size + 1] *= shrink;
            }

            row[size + 1] += TensorPrimitives.Sum<float>(seen);
        }
    }

    private readonly void Add(float* values, long stride, int at, int count, float* weights, int block, float* sums)
    {
        for (int r = 0; r < Rows; r++)
        {
            (int low, int high) = Seen(r, at, count);
            AttentionRows.BestSum(
                weights + ((long)r * block) + low, values + (low * stride), stride, high - low, Shape.HeadSize,
                sums + ((long)r * (Shape.HeadSize + Facts)));
        }
    }

    // The part of a block of keys that a row sees.
    private readonly (int Low, int High) Seen(int row, int at, int count)
    {
        int t = row / Shape.Shared;
        int low = Math.Clamp(Inputs.FirstSeen(t) - at, 0, count);
        return (low, Math.Clamp(Inputs.Past + t + 1 - at, low, count));
    }

    private readonly float* Sums(long index) => Partial + (index * Rows * (Shape.HeadSize + Facts));

    private readonly float* Row(int head, int stretch, int row) =>
        Sums(((long)head * Stretches) + stretch) + ((long)row * (Shape.HeadSize + Facts));

    // Row r of a key head is query head r % shared of its group, of the new token r / shared.
    private readonly long QueryOffset(long head, int row)
    {
        (long sequence, long group) = (head / Shape.KeyValueHeads, head % Shape.KeyValueHeads);
        long token = (sequence * Inputs.Count) + (row / Shape.Shared);
        return ((token * Shape.Heads) + (group * Shape.Shared) + (row % Shape.Shared)) * Shape.HeadSize;
    }
}
