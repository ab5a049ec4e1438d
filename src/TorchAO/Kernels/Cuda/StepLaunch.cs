using System.Globalization;
using System.Runtime.InteropServices;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>Products of one activation row and attentions over one sequence, one after the other in a single launch.</summary>
/// <remarks>
/// Saves what every launch costs anew: memory goes on delivering weights while results travel from block to block. Its blocks wait for one
/// another, so that all of them must run at once; a device that is busy with other work starts it when there is room for all. The tensors
/// of its parts must live, and stay where they are, as long as launches run. Two launches of one instance must not overlap.
/// </remarks>
public sealed class StepLaunch : ICudaLaunch, IDisposable
{
    private const int Warps = 8;
    private const int FewestStages = 3;
    private const int MostSharers = 4;

    // Keys of a range that its block looks through without delay: few blocks do it, where launches of attention alone have many.
    private const int KeysOfRange = 256;

    private readonly ICudaLaunch[] parts;
    private readonly CudaKernel kernel;
    private readonly StepArguments arguments;
    private readonly Tensor phases;
    private readonly Tensor arrived;
    private readonly int grid;
    private readonly int threads;
    private readonly int sharedBytes;

    private StepLaunch(CudaDevice device, ICudaLaunch[] parts, StepVariant variant, int sharedBytes)
    {
        this.parts = parts;
        this.sharedBytes = sharedBytes;
        (kernel, threads, grid) = (variant.Kernel(), variant.Threads, device.MultiprocessorCount);
        CudaAttention attention = parts.OfType<CudaAttention>().First();
        int splits = SplitsOf(device, attention);
        MostKeys = splits * KeysOfRange;
        var place = new Device(DeviceType.CUDA, device.Index);
        StepPhase[] described = Describe(parts, variant, grid, splits);
        using Tensor bytes = tensor(MemoryMarshal.AsBytes<StepPhase>(described).ToArray(), ScalarType.Byte);
        phases = bytes.to(place).DetachFromDisposeScope();
        arrived = zeros([1], dtype: ScalarType.Int32, device: place).DetachFromDisposeScope();
        arguments = new StepArguments
        {
            Phases = TensorMemory.DeviceAddress(phases),
            Arrived = TensorMemory.DeviceAddress(arrived),
            Position = attention.Arguments.Position,
            Count = described.Length,
            Splits = splits,
        };
    }

    /// <summary>Gets how many products and attentions it has.</summary>
    public int PartCount => parts.Length;

    /// <summary>Gets behind how many keys attention alone, with more blocks, is faster.</summary>
    public int MostKeys { get; }

    /// <summary>Puts what can go together into single launches.</summary>
    /// <param name="device">Where they run.</param>
    /// <param name="launches">Launches in order.</param>
    /// <param name="reason">Why nothing goes together; <see langword="null"/> where something does.</param>
    /// <returns>The same work. The caller disposes the launches of this class that are new in it.</returns>
    /// <exception cref="CudaException">The kernel does not compile or load.</exception>
    public static IReadOnlyList<ICudaLaunch> Combine(CudaDevice device, IReadOnlyList<ICudaLaunch> launches, out string? reason)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(launches);
        reason = ReasonToPart(device, launches);
        var combined = new List<ICudaLaunch>();
        for (int first = 0; first < launches.Count;)
        {
            int end = device.ComputeCapability.Major >= 9 ? EndOfRun(launches, first) : first;
            ICudaLaunch[] run = [.. launches.Skip(first).Take(end - first)];
            if (run.OfType<GemvLaunch>().Count() > 1 && run.OfType<CudaAttention>().Any())
            {
                if (Create(device, run, out string? obstacle) is { } step)
                {
                    combined.Add(step);
                    (first, reason) = (end, null);
                    continue;
                }

                reason = obstacle;
            }

            combined.Add(launches[first]);
            first++;
        }

        return combined;
    }

    /// <inheritdoc/>
    public void Launch(CudaStream stream)
    {
        kernel.Launch(stream, arguments, grid, threads, sharedBytes, new LaunchOptions { IsCooperative = true });
        GC.KeepAlive(parts);
    }

    /// <summary>Gives back what describes the parts; the parts themselves stay.</summary>
    public void Dispose()
    {
        phases.Dispose();
        arrived.Dispose();
    }

    // Why no two launches go together, where shared memory is not the reason.
    private static string ReasonToPart(CudaDevice device, IReadOnlyList<ICudaLaunch> launches)
    {
        GemvProduct[] products = [.. launches.OfType<GemvLaunch>().Select(launch => launch.Product)];
        return products switch
        {
            _ when device.ComputeCapability.Major < 9 => $"{device.Name} has no barriers for copies (compute capability 9.0)",
            _ when products.Any(product => product.Input.size(0) != 1) => $"{products[0].Input.size(0)} sequences, one launch takes one",
            _ when products.Any(product => product.Weights[0].Code == CudaCode.Half) => "weights in 16 bits gain nothing by one launch",
            _ => "no two products around an attention have weights of one kind",
        };
    }

    // Where the launches end that are of the kind of those before them.
    private static int EndOfRun(IReadOnlyList<ICudaLaunch> launches, int first)
    {
        GemvProduct? kind = null;
        CudaAttention? attention = null;
        int end = first;
        for (; end < launches.Count; end++)
        {
            switch (launches[end])
            {
                case GemvLaunch { Product: var product } when IsSingle(product) && (kind is null || product.IsAlike(kind)):
                    kind = product;
                    break;
                case CudaAttention { Sequences: 1 } other when attention is null || other.Options == attention.Options:
                    attention = other;
                    break;
                default:
                    return end;
            }
        }

        return end;
    }

    // 16-bit weights gain nothing: their products last long enough by themselves.
    private static bool IsSingle(GemvProduct product) =>
        product.Input.size(0) == 1 && product.Weights[0].Code != CudaCode.Half && (product.Epilogue != GemvEpilogue.Add || product.Weights.Count == 1);

    private static StepLaunch? Create(CudaDevice device, ICudaLaunch[] parts, out string? obstacle)
    {
        GemvProduct[] products = [.. parts.OfType<GemvLaunch>().Select(launch => launch.Product)];
        CudaAttention attention = parts.OfType<CudaAttention>().First();
        CudaWeight weight = products[0].Weights[0];
        CudaNumber activation = CudaNumbers.Of(products[0].Input.dtype);
        if (activation != attention.Activation)
        {
            obstacle = $"products in {activation} and attention in {attention.Activation}";
            return null;
        }

        if (attention.Sharers > MostSharers)
        {
            obstacle = $"{attention.Sharers} query heads a key head, expected up to {MostSharers}: their sums leave products no registers";
            return null;
        }

        int longest = products.Max(product => product.Weights[0].InFeatures);
        (int row, int stages, int flight) = weight.Code != CudaCode.Int4 ? (128, 10, 3) : longest >= 4096 ? (256, 4, 2) : (128, 8, 3);
        CudaNumber scale = weight.ScaleNumber ?? activation;
        int piece = products.Select(product => product.Weights[0].InFeatures).Distinct()
            .Min(features => GemvVariant.PieceOf(weight.Code, scale, weight.GroupSize, weight.ZeroKind, features, row));
        for (; stages >= FewestStages; stages--)
        {
            var common = new GemvVariant(
                activation, weight.Code, scale, weight.GroupSize, weight.ZeroKind, products[0].Rounding, IsSingle: true, new GemvBlocking(Warps, stages, 1, row, 1), piece);
            var variant = new StepVariant(common, Math.Min(flight, stages), attention.Options);
            int sharedBytes = variant.SharedBytes(longest, attention.RoomBytes(Warps));
            KernelResources resources = variant.Kernel().Prepare(device);
            if (sharedBytes + resources.SharedBytes <= device.SharedBytesPerBlock)
            {
                obstacle = null;
                return new StepLaunch(device, parts, variant, sharedBytes);
            }
        }

        obstacle = string.Create(
            CultureInfo.InvariantCulture, $"rows of {longest} features leave no room for {FewestStages} stages in shared memory");
        return null;
    }

    // Blocks are shared out over the heads; each looks through one range of keys.
    private static int SplitsOf(CudaDevice device, CudaAttention attention) =>
        Math.Clamp(device.MultiprocessorCount / attention.Arguments.KeyValueHeads, 1, attention.Splits);

    private static StepPhase[] Describe(ICudaLaunch[] parts, StepVariant variant, int grid, int splits)
    {
        var described = new StepPhase[parts.Length];
        int tasks = 0;
        for (int i = 0; i < parts.Length; i++)
        {
            described[i].First = tasks % grid;
            if (parts[i] is GemvLaunch { Product: var product })
            {
                described[i].Product = GemvArguments.Of(
                    product, variant.Product.RowsOfTile, variant.Product.InputPitch(product.Weights[0].InFeatures), 0, 1);
                tasks += described[i].Product.Tiles;
            }
            else
            {
                described[i].Kind = StepPhaseKind.Attention;
                described[i].Attention = ((CudaAttention)parts[i]).Arguments;
                tasks += described[i].Attention.KeyValueHeads * splits;
            }
        }

        return described;
    }
}
