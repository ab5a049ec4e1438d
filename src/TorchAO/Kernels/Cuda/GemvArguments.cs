using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>The struct of the same name in <c>gemv_arguments.cuh</c>.</summary>
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
    public int Epilogue;
    public int OutputType;
    public float SmallestStep;

    /// <summary>Describes some activation rows of a product.</summary>
    /// <param name="product">The product, whose tensors must stay where they are.</param>
    /// <param name="rowsOfTile">Weight rows of a tile.</param>
    /// <param name="inputPitch">Numbers from one activation row to the next in shared memory.</param>
    /// <param name="first">The first activation row.</param>
    /// <param name="rows">How many.</param>
    public static GemvArguments Of(GemvProduct product, int rowsOfTile, int inputPitch, int first, int rows)
    {
        Tensor input = product.Input, output = product.Output;
        var arguments = new GemvArguments
        {
            Input = TensorMemory.DeviceAddress(input) + (nint)(first * input.stride(0) * input.element_size()),
            Gain = product.Gain is null ? 0 : TensorMemory.DeviceAddress(product.Gain),
            InputStride = input.stride(0),
            OutputStride = output.stride(0),
            InFeatures = checked((int)input.size(1)),
            Rows = rows,
            InputPitch = inputPitch,
            Epsilon = (float)product.Epsilon,
            Epilogue = (int)product.Epilogue,
            OutputType = (int)CudaNumbers.Of(output.dtype),
            SmallestStep = product.Activation is null ? 0 : GemvRoundings.SmallestStep(product.Activation, input.dtype),
        };
        bool isGate = product.Epilogue == GemvEpilogue.Gate;
        long column = 0;
        for (int i = 0; i < GemvSegments.Count; i++)
        {
            arguments.Segments[i] = i < product.Weights.Count
                ? Segment(product, i, arguments.Tiles, first, column)
                : new GemvSegment { FirstTile = int.MaxValue };
            if (i < product.Weights.Count && !isGate)
            {
                arguments.Tiles += TilesOf(product.Weights[i].OutFeatures, rowsOfTile);
                column += product.Weights[i].OutFeatures;
            }
        }

        if (isGate)
        {
            arguments.Tiles = TilesOf(product.Weights[0].OutFeatures, rowsOfTile / 2);
        }

        return arguments;
    }

    private static GemvSegment Segment(GemvProduct product, int index, int firstTile, int firstRow, long column)
    {
        CudaWeight weight = product.Weights[index];
        Tensor output = product.Output;
        return new()
        {
            Codes = weight.Codes,
            Scale = weight.Scale,
            ZeroPoint = weight.ZeroPoint,
            Bias = product.Biases?[index] is { } bias ? TensorMemory.DeviceAddress(bias) : 0,
            Output = TensorMemory.DeviceAddress(output) + (nint)(((firstRow * output.stride(0)) + column) * output.element_size()),
            OutFeatures = weight.OutFeatures,
            FirstTile = firstTile,
            ScaleStep = weight.ScaleStride == 0 ? 0 : 1,
        };
    }

    private static int TilesOf(int rows, int rowsOfTile) => (rows + rowsOfTile - 1) / rowsOfTile;
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
