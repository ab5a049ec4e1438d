using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchAO.Kernels.Cuda;

/// <summary>The struct of the same name in <c>gemv.cu</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GemvArguments
{
    public GemvSegments Segments;
    public nint Input;
    public nint Gain;
    public long InputStride;
    public long OutputStride;
    public int InFeatures;
    public int Rows;
    public int InputPitch;
    public int Tiles;
    public float Epsilon;
}

/// <summary>One weight of a launch.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GemvSegment
{
    public nint Codes;
    public nint Scale;
    public nint ZeroPoint;
    public nint Bias;
    public nint Output;
    public int OutFeatures;
    public int FirstTile;
    public int ScaleStep;
    public int Reserved;
}

/// <summary>The weights of a launch; those that are not there begin behind the last tile.</summary>
[InlineArray(Count)]
internal struct GemvSegments
{
    /// <summary>The most weights of a launch: queries, keys and values.</summary>
    public const int Count = 3;

    private GemvSegment first;
}
