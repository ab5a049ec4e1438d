using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu;

/// <summary>The sizes of a product that the float-accumulating CPU kernels take, in the integers that their loops use.</summary>
internal readonly record struct CpuProblem(int M, int N, int K, int GroupSize)
{
    // A worker must have enough to do to pay for waking it: about 32 thousand multiply-adds, some microseconds.
    private const long WorkPerWorker = 1 << 15;

    // Scales of a row are widened on the stack.
    private const long MaxGroups = 1 << 14;

    /// <summary>Reads the sizes off the operands.</summary>
    public CpuProblem(Tensor input, IReadOnlyList<long> weightShape, long groupSize)
        : this(checked((int)input.size(0)), checked((int)weightShape[0]), checked((int)weightShape[1]), checked((int)groupSize))
    {
    }

    /// <summary>Gets the least count of weight rows that is worth a worker.</summary>
    public long RowsPerWorker => Math.Max(1, WorkPerWorker / Math.Max(1, (long)M * K));

    /// <summary>Says why these kernels cannot take a problem, or <see langword="null"/> if they can.</summary>
    public static string? ReasonToRefuse(in LinearProblem problem) => problem switch
    {
        { Device: not DeviceType.CPU } => $"runs on the CPU, not on {problem.Device}",
        { ActivationType: not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16) } =>
            $"takes Float32, BFloat16 or Float16 activations, not {problem.ActivationType}",
        { InFeatures: > int.MaxValue } or { OutFeatures: > int.MaxValue } or { Rows: > int.MaxValue } => "a size is beyond 2³¹ − 1",
        _ when problem.InFeatures / problem.GroupSize > MaxGroups => $"a row has more than {MaxGroups} groups",
        _ => null,
    };
}
