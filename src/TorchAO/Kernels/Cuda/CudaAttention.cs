using System.Collections.Concurrent;
using System.Globalization;
using System.Numerics;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>Attention of one new token a sequence over a cache: rotary positions, the cache's new rows, softmax and values in one kernel.</summary>
/// <remarks>Split over the keys (Dao et al. 2023, "Flash-Decoding"). The tensors must live, and stay where they are, as long as it is launched.</remarks>
public sealed class CudaAttention : ICudaLaunch
{
    private const int MostWarps = 16;
    private const int BlocksPerMultiprocessor = 2;
    private const int LeastSplits = 4;

    private static readonly ConcurrentDictionary<string, CudaKernel> Kernels = new();

    private readonly CudaAttentionTensors tensors;
    private readonly CudaKernel kernel;
    private readonly Dim3 grid;
    private readonly int threads;
    private readonly int sharers;
    private readonly int headSize;

    /// <summary>Settles a launch.</summary>
    /// <param name="shape">Sizes; <see cref="CudaAttentionShape.ReasonToRefuse"/> gives <see langword="null"/>.</param>
    /// <param name="tensors">What it works on.</param>
    /// <param name="code">How the cache stores its rows.</param>
    /// <exception cref="QuantizationException">The kernel cannot take these sizes.</exception>
    public CudaAttention(CudaAttentionShape shape, CudaAttentionTensors tensors, CudaCacheCode code)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        if (shape.ReasonToRefuse() is { } reason)
        {
            throw new QuantizationException($"attention on {tensors.Projected.device}: {reason}; use the modules themselves.");
        }

        this.tensors = tensors;
        // Results of all warps meet in shared memory, one row a query head.
        (sharers, headSize) = (shape.Heads / shape.KeyValueHeads, shape.HeadSize);
        int numbers = sharers * headSize;
        int warps = Math.Max(2, MostWarps / (int)BitOperations.RoundUpToPowerOf2((uint)(numbers + 127) / 128));
        threads = 32 * warps;
        Options = OptionsOf(shape, tensors, code);
        Splits = tensors.Scratch.Splits;
        Activation = CudaNumbers.Of(tensors.Projected.dtype);
        Sequences = checked((int)tensors.Projected.size(0));
        kernel = Kernels.GetOrAdd(
            string.Create(CultureInfo.InvariantCulture, $"{Options} -DACT={(int)Activation} -DWARPS={warps}"),
            static text => DeviceKernels.Kernel("attend.cu", "attend", text.Split(' ')));
        grid = new Dim3(tensors.Scratch.Splits, shape.KeyValueHeads, Sequences);
        Arguments = new AttendArguments
        {
            Projected = TensorMemory.DeviceAddress(tensors.Projected),
            Output = TensorMemory.DeviceAddress(tensors.Output),
            Keys = Side(tensors.Keys),
            Values = Side(tensors.Values),
            Cosine = TensorMemory.DeviceAddress(tensors.Cosine),
            Sine = TensorMemory.DeviceAddress(tensors.Sine),
            QueryGain = tensors.QueryGain is null ? 0 : TensorMemory.DeviceAddress(tensors.QueryGain),
            KeyGain = tensors.KeyGain is null ? 0 : TensorMemory.DeviceAddress(tensors.KeyGain),
            Position = TensorMemory.DeviceAddress(tensors.Position),
            Partial = TensorMemory.DeviceAddress(tensors.Scratch.Partial),
            Arrived = TensorMemory.DeviceAddress(tensors.Scratch.Arrived),
            Capacity = tensors.Keys[0].size(2),
            KeyValueHeads = shape.KeyValueHeads,
            Window = shape.Window ?? int.MaxValue,
            Scale = (float)(Math.Log2(Math.E) / Math.Sqrt(shape.HeadSize)),
            Epsilon = (float)shape.Epsilon,
        };
    }

    /// <summary>Makes room for the partial results of one layer at a time. The caller disposes it.</summary>
    /// <param name="device">The device.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="batch">Sequences.</param>
    public static CudaAttentionScratch CreateScratch(CudaDevice device, CudaAttentionShape shape, int batch)
    {
        ArgumentNullException.ThrowIfNull(device);
        int heads = batch * shape.KeyValueHeads;
        int splits = Math.Max(LeastSplits, BlocksPerMultiprocessor * device.MultiprocessorCount / heads);
        int sharers = shape.Heads / shape.KeyValueHeads;
        var place = new Device(DeviceType.CUDA, device.Index);
        return new CudaAttentionScratch(
            empty([heads, splits, sharers, shape.HeadSize + 2], dtype: ScalarType.Float32, device: place).DetachFromDisposeScope(),
            zeros([heads], dtype: ScalarType.Int32, device: place).DetachFromDisposeScope(),
            splits);
    }

    /// <summary>Gets what the kernel works on.</summary>
    internal AttendArguments Arguments { get; }

    /// <summary>Gets what the kernel is compiled for, without the type of activations and the warps of a block.</summary>
    internal string Options { get; }

    /// <summary>Gets into how many ranges a head's keys are cut at most.</summary>
    internal int Splits { get; }

    /// <summary>Gets the type of activations.</summary>
    internal CudaNumber Activation { get; }

    /// <summary>Gets how many query heads share a key head.</summary>
    internal int Sharers => sharers;

    /// <summary>Gets how many sequences there are.</summary>
    internal int Sequences { get; }

    /// <summary>Gets the bytes of shared memory that the warps of a block take for it.</summary>
    internal int RoomBytes(int warps) => sizeof(float) * ((sharers * headSize) + (2 * headSize) + (warps * sharers * (headSize + 2)) + 4);

    /// <inheritdoc/>
    public void Launch(CudaStream stream)
    {
        kernel.Launch(stream, Arguments, grid, threads, options: new LaunchOptions { OverlapsPredecessor = true });
        GC.KeepAlive(tensors);
    }

    // What the kernel is compiled for, but the warps of its blocks.
    private static string OptionsOf(CudaAttentionShape shape, CudaAttentionTensors tensors, CudaCacheCode code)
    {
        CudaNumber scale = code is CudaCacheCode.Int8 or CudaCacheCode.Float8 ? CudaNumbers.Of(tensors.Keys[1].dtype) : CudaNumber.Float32;
        long group = code == CudaCacheCode.Int4 ? shape.HeadSize / tensors.Keys[1].size(3) : shape.HeadSize;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"-DHEAD={shape.HeadSize} -DSHARERS={shape.Heads / shape.KeyValueHeads} -DHEAD_NORM={(tensors.QueryGain is null ? 0 : 1)} " +
            $"-DCACHE={(int)code} -DCACHE_SCALE={(int)scale} -DCACHE_GROUP={group}");
    }

    private static AttendCacheSide Side(IReadOnlyList<Tensor> components) => new()
    {
        Codes = TensorMemory.DeviceAddress(components[0]),
        Scale = components.Count > 1 ? TensorMemory.DeviceAddress(components[1]) : 0,
        Least = components.Count > 2 ? TensorMemory.DeviceAddress(components[2]) : 0,
    };
}
