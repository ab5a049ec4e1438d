using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Peers.Ggml;

/// <summary>ggml's matrix product on a pool of threads of its own, which sleeps outside of its turns.</summary>
internal sealed unsafe class GgmlContestant : Contestant
{
    private const int PoolParameterBytes = 4096; // more than any version's structure
    private const nuint DescriptionBytes = 4 << 20;

    private readonly GgmlLibrary library;
    private readonly long n;
    private readonly long k;
    private readonly nint weights;
    private readonly nint weightBuffer;
    private readonly nint[] copies = new nint[Copies];
    private readonly nint backend;
    private readonly nint threads;
    private readonly bool isSupported;
    private nint products;
    private nint productBuffer;
    private readonly nint[] graphs = new nint[Copies];
    private nint output;
    private long rows;

    /// <summary>Stores the weight in a buffer of the given type.</summary>
    public GgmlContestant(
        GgmlLibrary library, string name, GgmlType type, long[] shape, byte[] blocks, nint bufferType, int threadCount)
        : base(name, Arithmetic.Int8Activations, blocks.LongLength)
    {
        this.library = library;
        (n, k) = (shape[0], shape[1]);
        weights = GgmlNative.Init(new(DescriptionBytes));
        for (int i = 0; i < Copies; i++)
        {
            copies[i] = GgmlNative.NewTensor(weights, (int)type, k, n);
        }

        weightBuffer = GgmlNative.Allocate(weights, bufferType);
        nint probe = GgmlNative.Multiply(weights, copies[0], GgmlNative.NewTensor(weights, (int)GgmlType.F32, k, 1));
        isSupported = GgmlNative.Supports(library.Device, probe);
        for (int i = 0; i < Copies && isSupported; i++)
        {
            fixed (byte* from = blocks)
            {
                GgmlNative.Write(copies[i], from, 0, (nuint)blocks.LongLength);
            }
        }

        byte* parameters = stackalloc byte[PoolParameterBytes];
        GgmlNative.InitThreads(parameters, threadCount);
        threads = GgmlNative.NewThreads(parameters);
        GgmlNative.Pause(threads);
        backend = GgmlNative.InitDevice(library.Device, null);
        GgmlNative.SetThreadCount(backend, threadCount);
        GgmlNative.SetThreads(backend, threads);
    }

    /// <summary>As the constructor, for buffers whose weights ggml brings into another order.</summary>
    /// <returns>The contestant, or <see langword="null"/> where ggml has no such order for the type on this processor.</returns>
    public static GgmlContestant? TryRepack(
        GgmlLibrary library, string name, GgmlType type, long[] shape, byte[] blocks, nint bufferType, int threadCount)
    {
        if (bufferType == 0)
        {
            return null;
        }

        var contestant = new GgmlContestant(library, name, type, shape, blocks, bufferType, threadCount);
        if (!contestant.isSupported)
        {
            contestant.Dispose();
            return null;
        }

        return contestant;
    }

    /// <inheritdoc/>
    public override void Prepare(Tensor activations)
    {
        Forget();
        rows = activations.size(0);
        products = GgmlNative.Init(new(DescriptionBytes));
        nint input = GgmlNative.NewTensor(products, (int)GgmlType.F32, k, rows);
        for (int i = 0; i < Copies; i++)
        {
            nint product = GgmlNative.Multiply(products, copies[i], input);
            output = i == 0 ? product : output;
            graphs[i] = GgmlNative.NewGraph(products);
            GgmlNative.Expand(graphs[i], product);
        }

        productBuffer = GgmlNative.Allocate(products, GgmlNative.BufferType(library.Device));
        using Tensor contiguous = activations.contiguous();
        GgmlNative.Write(input, (void*)TensorMemory.Address<float>(contiguous), 0, (nuint)(4 * rows * k));
        GC.KeepAlive(contiguous);
    }

    /// <inheritdoc/>
    public override void Wake() => GgmlNative.Resume(threads);

    /// <inheritdoc/>
    public override void Rest() => GgmlNative.Pause(threads);

    /// <inheritdoc/>
    public override void Multiply(int copy)
    {
        int status = GgmlNative.Compute(backend, graphs[copy]);
        if (status != 0)
        {
            throw new InvalidOperationException($"{Name}: ggml's computation ended with status {status}.");
        }
    }

    /// <inheritdoc/>
    public override Tensor Result()
    {
        Multiply(0);
        Tensor result = empty(rows, n);
        GgmlNative.Read(output, (void*)TensorMemory.Address<float>(result), 0, (nuint)(4 * rows * n));
        GC.KeepAlive(result);
        return result;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Forget();
        GgmlNative.FreeBackend(backend);
        GgmlNative.FreeThreads(threads);
        GgmlNative.FreeBuffer(weightBuffer);
        GgmlNative.Free(weights);
    }

    private void Forget()
    {
        if (products != 0)
        {
            GgmlNative.FreeBuffer(productBuffer);
            GgmlNative.Free(products);
            products = 0;
        }
    }
}
