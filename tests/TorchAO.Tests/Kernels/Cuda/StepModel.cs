using TorchAO.Kernels.Cuda;
using TorchAO.KvCache;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda;

/// <summary>A decode step of random weights and one sequence: what its products and attentions work on, and float64 of the same.</summary>
/// <remarks>Its tensors belong to the scope in which it is made. The head is the last product, in float32.</remarks>
internal sealed class StepModel
{
    private const double Epsilon = 1e-5;

    private readonly StepSizes sizes;
    private readonly Device device;
    private readonly Generator? generator;
    private readonly Tensor first, projected, attended, gated, cosine, sine;
    private readonly KeyValueCodec codec;
    private readonly CudaAttentionScratch scratch;
    private readonly List<(IReadOnlyList<Tensor> Now, IReadOnlyList<Tensor> Before)> caches = [];
    private readonly List<object> parts = [];
    private readonly List<Action<Reference>> exact = [];

    /// <param name="sizes">The shape.</param>
    /// <param name="kinds">The kinds of the weights of each layer, and of the head.</param>
    /// <param name="cache">How old keys and values are stored.</param>
    /// <param name="capacity">The longest sequence.</param>
    /// <param name="device">Where its tensors are.</param>
    /// <param name="generator">Of random numbers; TorchSharp makes none for a GPU, where the device's own is taken.</param>
    /// <param name="makeScratch">Makes room for partial results of attention.</param>
    public StepModel(
        StepSizes sizes, IReadOnlyList<StepWeightKind> kinds, KeyValueFormat cache, int capacity, Device device, Generator? generator,
        Func<CudaAttentionShape, CudaAttentionScratch> makeScratch)
    {
        (this.sizes, this.device, this.generator, Cache) = (sizes, device, generator, cache);
        codec = KeyValueCodec.Of(cache, sizes.HeadSize);
        Hidden = Empty(sizes.Hidden);
        projected = Empty(sizes.Queries + (2 * sizes.Keys));
        attended = Empty(sizes.Queries);
        gated = Empty(sizes.Inner);
        Scores = zeros([1, sizes.Vocabulary], dtype: ScalarType.Float32, device: device);
        first = randn([1, sizes.Hidden], device: device, generator: generator).to(ScalarType.BFloat16);
        Position = zeros([1], dtype: ScalarType.Int32, device: device);
        Tensor angle = rand([capacity, sizes.HeadSize / 2], device: device, generator: generator) * 6;
        (cosine, sine) = (cat([angle.cos(), angle.cos()], 1), cat([angle.sin(), angle.sin()], 1));
        var shape = new CudaAttentionShape(sizes.Heads, sizes.KeyValueHeads, sizes.HeadSize, null, Epsilon);
        scratch = makeScratch(shape);
        foreach (StepWeightKind kind in kinds.SkipLast(1))
        {
            AddLayer(kind, shape, capacity);
        }

        Tensor gain = Gain(sizes.Hidden);
        Multiply(
            kinds[^1], sizes.Hidden, [sizes.Vocabulary], Hidden, Scores, gain, GemvEpilogue.Store,
            reference => reference.Hidden, (reference, sums) => reference.Scores = sums[0]);
    }

    /// <summary>Gets how old keys and values are stored.</summary>
    public KeyValueFormat Cache { get; }

    /// <summary>Gets the products and attentions, in order.</summary>
    public IReadOnlyList<object> Parts => parts;

    /// <summary>Gets the products.</summary>
    public IEnumerable<GemvProduct> Products => parts.OfType<GemvProduct>();

    /// <summary>Gets the numbers that layers add to.</summary>
    public Tensor Hidden { get; }

    /// <summary>Gets the results of the head.</summary>
    public Tensor Scores { get; }

    /// <summary>Gets the position of the new token.</summary>
    public Tensor Position { get; }

    /// <summary>Gets the counters that must be zero between steps.</summary>
    public Tensor Arrived => scratch.Arrived;

    /// <summary>Begins a step: its input, NaN where results go, the cache as it was.</summary>
    public void Begin(int position)
    {
        Hidden.copy_(first);
        foreach (Tensor result in (Tensor[])[projected, attended, gated, Scores])
        {
            result.fill_(float.NaN);
        }

        Position.fill_(position);
        foreach ((IReadOnlyList<Tensor> now, IReadOnlyList<Tensor> before) in caches)
        {
            for (int i = 0; i < now.Count; i++)
            {
                now[i].copy_(before[i]);
            }
        }
    }

    /// <summary>Gets all that a step leaves, bit for bit.</summary>
    public IReadOnlyList<Tensor> Left() => [.. caches.SelectMany(cache => cache.Now).Prepend(Scores).Prepend(Hidden).Select(tensor => tensor.clone())];

    /// <summary>Gets a row of keys or of values of each layer, in float64 <c>[KV, head size]</c>.</summary>
    public IReadOnlyList<Tensor> Rows(int position) =>
        [.. caches.Select(cache => Decoded(cache.Now).select(1, position))];

    /// <summary>Gets whether a step has changed a row of a cache that is not its own.</summary>
    public bool HasTouchedOtherRows(int position) => caches.Any(cache => cache.Now.Zip(cache.Before).Any(pair =>
    {
        long behind = pair.First.size(2) - position - 1;
        return !HaveSameBits(pair.First.narrow(2, 0, position), pair.Second.narrow(2, 0, position))
            || !HaveSameBits(pair.First.narrow(2, position + 1, behind), pair.Second.narrow(2, position + 1, behind));
    }));

    /// <summary>Tells whether two tensors have the same bits.</summary>
    public static bool HaveSameBits(Tensor first, Tensor second)
    {
        using Tensor one = first.cpu().contiguous(), other = second.cpu().contiguous();
        return TensorMemory.Span<byte>(one).SequenceEqual(TensorMemory.Span<byte>(other));
    }

    /// <summary>Computes the step in float64, rounded where its results are stored in 16 bits.</summary>
    public Reference Compute(int position)
    {
        var reference = new Reference { Position = position, Hidden = first.to(ScalarType.Float64) };
        exact.ForEach(part => part(reference));
        return reference;
    }

    /// <summary>The distance of two tensors, by the length of the second.</summary>
    public static double Error(Tensor actual, Tensor expected)
    {
        Tensor wide = expected.to(ScalarType.Float64);
        return (actual.to(ScalarType.Float64) - wide).norm().item<double>() / wide.norm().item<double>();
    }

    private static Tensor Rounded(Tensor x) => x.to(ScalarType.Float32).to(ScalarType.BFloat16).to(ScalarType.Float64);

    private void AddLayer(StepWeightKind kind, CudaAttentionShape shape, int capacity)
    {
        Multiply(
            kind, sizes.Hidden, [sizes.Queries, sizes.Keys, sizes.Keys], Hidden, projected, Gain(sizes.Hidden), GemvEpilogue.Store,
            reference => reference.Hidden, (reference, sums) => reference.Projected = [.. sums.Select(Rounded)]);
        Attend(shape, capacity);
        Multiply(
            kind, sizes.Queries, [sizes.Hidden], attended, Hidden, null, GemvEpilogue.Add,
            reference => reference.Attended!, (reference, sums) => reference.Hidden = Rounded(reference.Hidden + sums[0]));
        Multiply(
            kind, sizes.Hidden, [sizes.Inner, sizes.Inner], Hidden, gated, Gain(sizes.Hidden), GemvEpilogue.Gate,
            reference => reference.Hidden, (reference, sums) => reference.Gated = Rounded(nn.functional.silu(sums[0]) * sums[1]));
        Multiply(
            kind, sizes.Inner, [sizes.Hidden], gated, Hidden, null, GemvEpilogue.Add,
            reference => reference.Gated!, (reference, sums) => reference.Hidden = Rounded(reference.Hidden + sums[0]));
    }

    // A product, and how float64 begins and ends it.
    private void Multiply(
        StepWeightKind kind, int k, int[] counts, Tensor input, Tensor output, Tensor? gain, GemvEpilogue epilogue,
        Func<Reference, Tensor> begin, Action<Reference, Tensor[]> end)
    {
        StepWeight[] weights = [.. counts.Select(n => StepWeight.Make(kind, n, k, generator, device))];
        Tensor[]? biases = sizes.HasBias ? [.. counts.Select(n => randn([n], device: device, generator: generator).to(ScalarType.BFloat16))] : null;
        parts.Add(new GemvProduct
        {
            Weights = [.. weights.Select(weight => weight.View)],
            Biases = biases,
            Input = input,
            Output = output,
            Gain = gain,
            Epsilon = gain is null ? 0 : Epsilon,
            Epilogue = epilogue,
        });
        exact.Add(reference =>
        {
            Tensor x = begin(reference), norm = ones([1, 1], dtype: ScalarType.Float64, device: device);
            if (gain is not null)
            {
                norm = (x.square().mean([1L], keepdim: true) + Epsilon).rsqrt();
                x = Rounded(x * gain.to(ScalarType.Float64));
            }

            Tensor[] sums = [.. weights.Select(weight => nn.functional.linear(x, weight.Values()) * norm)];
            end(reference, biases is null ? sums : [.. sums.Zip(biases, (sum, bias) => sum + bias.to(ScalarType.Float64))]);
        });
    }

    private void Attend(CudaAttentionShape shape, int capacity)
    {
        IReadOnlyList<Tensor> keys = AddCache(capacity), values = AddCache(capacity);
        (IReadOnlyList<Tensor> oldKeys, IReadOnlyList<Tensor> oldValues) = (caches[^2].Before, caches[^1].Before);
        Tensor? queryGain = sizes.HasHeadNorm ? Gain(sizes.HeadSize) : null, keyGain = sizes.HasHeadNorm ? Gain(sizes.HeadSize) : null;
        parts.Add(new CudaAttention(
            shape,
            new CudaAttentionTensors
            {
                Projected = projected,
                Output = attended,
                Keys = keys,
                Values = values,
                Cosine = cosine,
                Sine = sine,
                Position = Position,
                Scratch = scratch,
                QueryGain = queryGain,
                KeyGain = keyGain,
            },
            CodeOfCache()));
        exact.Add(reference =>
        {
            int length = reference.Position;
            Tensor query = Turn(reference.Projected[0].view(sizes.Heads, sizes.HeadSize), queryGain, length);
            Tensor key = Turn(reference.Projected[1].view(sizes.KeyValueHeads, sizes.HeadSize), keyGain, length);
            Tensor value = reference.Projected[2].view(sizes.KeyValueHeads, sizes.HeadSize);
            Tensor allKeys = cat([Decoded(oldKeys).narrow(1, 0, length), key.unsqueeze(1)], 1);
            Tensor allValues = cat([Decoded(oldValues).narrow(1, 0, length), value.unsqueeze(1)], 1);
            Tensor grouped = query.view(sizes.KeyValueHeads, -1, sizes.HeadSize);
            Tensor weights = (bmm(grouped, allKeys.transpose(1, 2)) / Math.Sqrt(sizes.HeadSize)).softmax(-1);
            reference.Attended = Rounded(bmm(weights, allValues).view(1, -1));
            reference.Rows.Add(key);
            reference.Rows.Add(value);
        });
    }

    private CudaCacheCode CodeOfCache() => Cache switch
    {
        KeyValueFormat.Int8 => CudaCacheCode.Int8,
        KeyValueFormat.Float8 => CudaCacheCode.Float8,
        KeyValueFormat.Int4 => CudaCacheCode.Int4,
        _ => CudaCacheCode.Number,
    };

    // Normalized where there is a gain, turned to its position, rounded as the kernel rounds.
    private Tensor Turn(Tensor head, Tensor? gain, int position)
    {
        if (gain is not null)
        {
            Tensor inverse = (head.square().mean([1L], keepdim: true) + Epsilon).rsqrt();
            head = Rounded(Rounded(head * inverse) * gain.to(ScalarType.Float64));
        }

        int half = sizes.HeadSize / 2;
        Tensor other = cat([-head.narrow(1, half, half), head.narrow(1, 0, half)], 1);
        return Rounded((head * cosine[position].to(ScalarType.Float64)) + (other * sine[position].to(ScalarType.Float64)));
    }

    private IReadOnlyList<Tensor> AddCache(int capacity)
    {
        Tensor rows = randn([1, sizes.KeyValueHeads, capacity, sizes.HeadSize], device: device, generator: generator).to(ScalarType.BFloat16);
        IReadOnlyList<Tensor> before = [.. codec.Encode(rows).Select(one => one.contiguous())], now = [.. before.Select(one => one.clone())];
        caches.Add((now, before));
        return now;
    }

    // [KV, capacity, head size]
    private Tensor Decoded(IReadOnlyList<Tensor> components) => codec.Decode(components, ScalarType.BFloat16).to(ScalarType.Float64)[0];

    private Tensor Empty(int width) => zeros([1, width], dtype: ScalarType.BFloat16, device: device);

    private Tensor Gain(int width) => (rand([width], device: device, generator: generator) + 0.5).to(ScalarType.BFloat16);

    /// <summary>What a step gives in float64.</summary>
    internal sealed class Reference
    {
        public int Position { get; init; }

        public required Tensor Hidden { get; set; }

        public Tensor[] Projected { get; set; } = [];

        public Tensor? Attended { get; set; }

        public Tensor? Gated { get; set; }

        public Tensor? Scores { get; set; }

        /// <summary>Gets the new rows of keys and of values in turn, layer by layer, as they are before a cache encodes them.</summary>
        public List<Tensor> Rows { get; } = [];
    }
}
