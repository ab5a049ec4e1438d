using TorchAO.Runtime.Cuda;

namespace TorchAO.Kernels.Cuda;

/// <summary>A product ready to be launched again and again: addresses, sizes and kernel are settled.</summary>
/// <remarks>The tensors of the product must live, and stay where they are, as long as launches run. Safe for threads.</remarks>
public sealed class GemvLaunch : ICudaLaunch
{
    /// <summary>The most activation rows of a launch: columns of a tensor core product.</summary>
    public const int MaxRows = 8;

    private readonly GemvProduct product;
    private readonly List<(GemvArguments Arguments, GemvVariant Variant, int Grid, int SharedBytes)> parts = [];

    /// <summary>Settles a product. Compiles its kernel.</summary>
    /// <param name="device">Where it runs.</param>
    /// <param name="product">The product; <see cref="GemvProduct.ReasonToRefuse"/> gives <see langword="null"/>.</param>
    /// <exception cref="QuantizationException">The kernels cannot compute it.</exception>
    /// <exception cref="CudaException">A kernel does not compile or load.</exception>
    public GemvLaunch(CudaDevice device, GemvProduct product)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(product);
        if (product.ReasonToRefuse() is { } reason)
        {
            throw new QuantizationException($"product of few rows on {device.Name}: {reason}; use the layer itself.");
        }

        this.product = product;
        int rows = checked((int)product.Input.size(0));
        for (int first = 0; first < rows;)
        {
            int count = Math.Min(rows - first, MaxRows);
            first += Add(device, first, count);
        }
    }

    /// <summary>Gets the product.</summary>
    internal GemvProduct Product => product;

    /// <inheritdoc/>
    public void Launch(CudaStream stream)
    {
        foreach ((GemvArguments arguments, GemvVariant variant, int grid, int sharedBytes) in parts)
        {
            variant.Kernel().Launch(
                stream, arguments, grid, variant.Threads, sharedBytes, new LaunchOptions { OverlapsPredecessor = true });
        }

        GC.KeepAlive(product);
    }

    // Adds a launch for some rows: as many of them as shared memory holds.
    private int Add(CudaDevice device, int first, int count)
    {
        CudaWeight weight = product.Weights[0];
        int outFeatures = product.Weights.Sum(one => one.OutFeatures);
        for (int rows = count; ; rows = (rows + 1) / 2)
        {
            GemvVariant variant = VariantFor(device, weight, outFeatures, rows);
            int sharedBytes = variant.SharedBytes(weight.InFeatures, rows);
            if (sharedBytes > device.SharedBytesPerBlock)
            {
                if (rows > 1)
                {
                    continue;
                }

                throw new QuantizationException(
                    $"product of few rows on {device.Name}: a row of {weight.InFeatures} features takes {sharedBytes} bytes of shared " +
                    $"memory, the device has {device.SharedBytesPerBlock} a block; use the layer itself.");
            }

            GemvArguments arguments = GemvArguments.Of(product, variant.RowsOfTile, variant.InputPitch(weight.InFeatures), first, rows);
            int resident = variant.Kernel().BlocksPerMultiprocessor(device, variant.Threads, sharedBytes);
            int blocks = Math.Max(1, Math.Min(resident, variant.Blocking.BlocksPerMultiprocessor));
            parts.Add((arguments, variant, Math.Min(arguments.Tiles, blocks * device.MultiprocessorCount), sharedBytes));
            return rows;
        }
    }

    // The blocking that was measured; where its stages leave no room for long rows, fewer of them.
    private GemvVariant VariantFor(CudaDevice device, CudaWeight weight, int outFeatures, int rows)
    {
        GemvBlocking blocking = GemvBlocking.Choose(weight.Code, outFeatures, weight.InFeatures, rows);
        while (blocking.Stages > 2 && VariantOf(weight, rows, blocking).SharedBytes(weight.InFeatures, rows) > device.SharedBytesPerBlock)
        {
            blocking = blocking with { Stages = blocking.Stages - 1 };
        }

        return VariantOf(weight, rows, blocking);
    }

    private GemvVariant VariantOf(CudaWeight weight, int rows, GemvBlocking blocking)
    {
        CudaNumber activation = CudaNumbers.Of(product.Input.dtype), scale = weight.ScaleNumber ?? activation;
        return new GemvVariant(
            activation, weight.Code, scale, weight.GroupSize, weight.ZeroKind, product.Rounding, rows == 1, blocking,
            GemvVariant.PieceOf(weight.Code, scale, weight.GroupSize, weight.ZeroKind, weight.InFeatures, blocking.RowBytes));
    }
}
