using System.Runtime.InteropServices;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>Takes the likeliest next token, or draws one, and makes it the next input.</summary>
public sealed class CudaTokenChoice : ICudaLaunch
{
    private const int Threads = 256;
    private const int TokensPerBlock = 1024;

    private readonly (Tensor Logits, CudaTokenState State, Tensor Best, Tensor Arrived) operands;
    private readonly CudaKernel kernel;
    private readonly Arguments arguments;
    private readonly Dim3 grid;

    /// <summary>Settles a launch.</summary>
    /// <param name="logits">float32 <c>[B, vocabulary]</c>.</param>
    /// <param name="state">Receives the tokens; the position grows by one.</param>
    /// <param name="best">int64 <c>[B]</c>, zeros between launches.</param>
    /// <param name="arrived">int32, one number, zero between launches.</param>
    /// <param name="temperature">What logits are divided by before a token is drawn; 0 takes the likeliest.</param>
    /// <param name="seed">Of the draws.</param>
    public CudaTokenChoice(Tensor logits, CudaTokenState state, Tensor best, Tensor arrived, double temperature = 0, ulong seed = 0)
    {
        ArgumentNullException.ThrowIfNull(logits);
        ArgumentNullException.ThrowIfNull(state);
        ArgumentOutOfRangeException.ThrowIfNegative(temperature);
        operands = (logits, state, best, arrived);
        kernel = CudaTokens.Kernel("pick", CudaNumber.Float32, 0, CudaNumber.Float32, CudaZeroPoint.None);
        (int batch, int vocabulary) = (checked((int)logits.size(0)), checked((int)logits.size(1)));
        grid = new Dim3((vocabulary + TokensPerBlock - 1) / TokensPerBlock, batch);
        arguments = new Arguments
        {
            Logits = TensorMemory.DeviceAddress(logits),
            Best = TensorMemory.DeviceAddress(best),
            Arrived = TensorMemory.DeviceAddress(arrived),
            Tokens = TensorMemory.DeviceAddress(state.Tokens),
            Position = TensorMemory.DeviceAddress(state.Position),
            History = TensorMemory.DeviceAddress(state.History),
            Seed = seed,
            InverseTemperature = temperature > 0 ? (float)(1 / temperature) : 0,
            Vocabulary = vocabulary,
            Batch = batch,
            Capacity = checked((int)state.History.size(0)),
        };
    }

    /// <inheritdoc/>
    public void Launch(CudaStream stream)
    {
        kernel.Launch(stream, arguments, grid, Threads, options: new LaunchOptions { OverlapsPredecessor = true });
        GC.KeepAlive(operands.State);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Arguments
    {
        public nint Logits;
        public nint Best;
        public nint Arrived;
        public nint Tokens;
        public nint Position;
        public nint History;
        public ulong Seed;
        public float InverseTemperature;
        public int Vocabulary;
        public int Batch;
        public int Capacity;
    }
}
