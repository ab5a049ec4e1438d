using System.Runtime.InteropServices;

namespace TorchAO.Kernels.Cuda;

/// <summary>The struct of the same name in <c>attend_heads.cuh</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct AttendArguments
{
    public nint Projected;
    public nint Output;
    public AttendCacheSide Keys;
    public AttendCacheSide Values;
    public nint Cosine;
    public nint Sine;
    public nint QueryGain;
    public nint KeyGain;
    public nint Position;
    public nint Partial;
    public nint Arrived;
    public long Capacity;
    public int KeyValueHeads;
    public int Window;
    public float Scale;
    public float Epsilon;
}

/// <summary>Keys or values of one layer: <c>CacheSide</c> in <c>attend_cache.cuh</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct AttendCacheSide
{
    public nint Codes;
    public nint Scale;
    public nint Least;
}
