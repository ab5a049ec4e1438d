using System.Runtime.InteropServices;

namespace TorchAO.Kernels.Cuda;

/// <summary>The struct of the same name in <c>step.cu</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct StepArguments
{
    public nint Phases;
    public nint Arrived;
    public nint Position;
    public int Count;
    public int Splits;
}

/// <summary>One product or attention of a step: <c>StepPhase</c> in <c>step.cu</c>.</summary>
[StructLayout(LayoutKind.Explicit)]
internal struct StepPhase
{
    /// <summary>What the phase is: its <see cref="Product"/> or its <see cref="Attention"/>.</summary>
    [FieldOffset(0)]
    public StepPhaseKind Kind;

    /// <summary>The block that has the first tile or task.</summary>
    [FieldOffset(4)]
    public int First;

    [FieldOffset(8)]
    public GemvArguments Product;

    [FieldOffset(8)]
    public AttendArguments Attention;
}

/// <summary>What a phase of a step is.</summary>
internal enum StepPhaseKind
{
    Product = 0,
    Attention = 1,
}
