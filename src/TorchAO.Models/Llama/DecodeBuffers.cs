using TorchAO.Kernels.Fused;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>Where the numbers of a decode step are between its linear layers; belongs to a cache, and so to one stream.</summary>
/// <remarks>Linear layers take tensors of the model's type, the kernels between them float32.</remarks>
internal sealed class DecodeBuffers : IDisposable
{
    private float[] first = [];
    private float[] second = [];

    public DecodeBuffers(LlamaConfig config, ScalarType dtype, int batch, int count)
    {
        (Batch, Count) = (batch, count);
        int rows = batch * count;
        int keys = config.KeyValueHeads * config.HeadSize;
        Residual = new float[rows * config.HiddenSize];
        Queries = new float[rows * config.Heads * config.HeadSize];
        Keys = new float[rows * keys];
        Hidden = new StepTensor(batch, count, config.HiddenSize, dtype);
        Attended = new StepTensor(batch, count, config.Heads * config.HeadSize, dtype);
        Gated = new StepTensor(batch, count, config.IntermediateSize, dtype);
        Attention = new CachedAttention(new AttentionShape(config.Heads, config.KeyValueHeads, config.HeadSize));
    }

    /// <summary>Gets B.</summary>
    public int Batch { get; }

    /// <summary>Gets T.</summary>
    public int Count { get; }

    /// <summary>Gets the residual stream <c>[B, T, hidden]</c>, float32 in models of any type.</summary>
    public float[] Residual { get; }

    /// <summary>Gets queries <c>[B, T, H, D]</c>.</summary>
    public float[] Queries { get; }

    /// <summary>Gets keys <c>[B, T, KV, D]</c>.</summary>
    public float[] Keys { get; }

    /// <summary>Gets what linear layers read behind a norm, <c>[B, T, hidden]</c>.</summary>
    public StepTensor Hidden { get; }

    /// <summary>Gets what attention gives, <c>[B, T, H · D]</c>.</summary>
    public StepTensor Attended { get; }

    /// <summary>Gets what the gate gives, <c>[B, T, intermediate]</c>.</summary>
    public StepTensor Gated { get; }

    /// <summary>Gets the kernel with its scratch space.</summary>
    public CachedAttention Attention { get; }

    /// <summary>Gets room for rows that are widened.</summary>
    public float[] First(int width) => Grow(ref first, width);

    /// <summary>Gets room for other rows that are widened.</summary>
    public float[] Second(int width) => Grow(ref second, width);

    /// <summary>Adds to the residual stream what a layer gives, where there is something, and normalizes it into <see cref="Hidden"/>.</summary>
    public void Normalize(RmsNorm norm, Tensor? added)
    {
        int width = Residual.Length / (Batch * Count);
        if (added is null)
        {
            norm.Run(Residual, Hidden.Values, Second(width));
        }
        else
        {
            norm.AddAndRun(Residual, FloatValues.Of(added, First(width)), Hidden.Values, Second(width));
        }
    }

    public void Dispose()
    {
        Hidden.Dispose();
        Attended.Dispose();
        Gated.Dispose();
    }

    private float[] Grow(ref float[] array, int width)
    {
        int length = Batch * Count * width;
        if (array.Length < length)
        {
            array = new float[length];
        }

        return array;
    }

    /// <summary>Rows that are written as float32 and read by a linear layer in the model's type.</summary>
    internal sealed class StepTensor : IDisposable
    {
        private readonly Tensor tensor;
        private readonly float[]? wide;

        public StepTensor(int batch, int count, int width, ScalarType dtype)
        {
            tensor = empty([batch, count, width], dtype: dtype).DetachFromDisposeScope();
            wide = dtype == ScalarType.Float32 ? null : new float[batch * count * width];
        }

        /// <summary>Gets the numbers, to be written.</summary>
        public Span<float> Values => wide ?? TensorMemory.Span<float>(tensor);

        /// <summary>Gets the tensor with the numbers that were written; stays the buffer's.</summary>
        public Tensor Seal()
        {
            if (wide is not null)
            {
                FloatValues.Round(wide, tensor);
            }

            return tensor;
        }

        public void Dispose() => tensor.Dispose();
    }
}
