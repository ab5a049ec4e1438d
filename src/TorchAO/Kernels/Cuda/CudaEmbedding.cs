using System.Runtime.InteropServices;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>Looks up the rows of new tokens in an embedding table of any form that <see cref="CudaWeight"/> has.</summary>
public sealed class CudaEmbedding : ICudaLaunch
{
    private const int Threads = 256;

    private readonly (CudaWeight Table, Tensor Tokens, Tensor Hidden) operands;
    private readonly CudaKernel kernel;
    private readonly Arguments arguments;
    private readonly Dim3 grid;

    /// <summary>Settles a launch.</summary>
    /// <param name="table">The table <c>[vocabulary, width]</c>.</param>
    /// <param name="tokens">int32 <c>[B]</c>, inside the vocabulary.</param>
    /// <param name="hidden">Receives rows, <c>[B, width]</c>.</param>
    public CudaEmbedding(CudaWeight table, Tensor tokens, Tensor hidden)
    {
        ArgumentNullException.ThrowIfNull(table);
        ArgumentNullException.ThrowIfNull(tokens);
        ArgumentNullException.ThrowIfNull(hidden);
        operands = (table, tokens, hidden);
        CudaNumber activation = CudaNumbers.Of(hidden.dtype);
        kernel = CudaTokens.Kernel("embed", activation, (int)table.Code, table.ScaleNumber ?? activation, table.ZeroKind);
        grid = new Dim3((table.InFeatures + Threads - 1) / Threads, checked((int)tokens.size(0)));
        arguments = new Arguments
        {
            Codes = table.Codes,
            Scale = table.Scale,
            ZeroPoint = table.ZeroPoint,
            Hidden = TensorMemory.DeviceAddress(hidden),
            Tokens = TensorMemory.DeviceAddress(tokens),
            Width = table.InFeatures,
            Group = table.InFeatures / table.Groups,
            ScaleStride = table.ScaleStride,
        };
    }

    /// <summary>Gets what the kernel is given.</summary>
    internal Arguments Settled => arguments;

    /// <inheritdoc/>
    public void Launch(CudaStream stream)
    {
        kernel.Launch(stream, arguments, grid, Threads, options: new LaunchOptions { OverlapsPredecessor = true });
        GC.KeepAlive(operands.Table);
    }

    /// <summary><c>EmbedArguments</c> of <c>tokens.cu</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Arguments
    {
        public nint Codes;
        public nint Scale;
        public nint ZeroPoint;
        public nint Hidden;
        public nint Tokens;
        public int Width;
        public int Group;
        public int ScaleStride;
        public int Reserved;
    }
}
