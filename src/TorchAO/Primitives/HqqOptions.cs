using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>How half-quadratic quantization runs.</summary>
public sealed record HqqOptions
{
    /// <summary>Gets the bits of a code. Default: 4; 1 to 8.</summary>
    public int Bits { get; init; } = 4;

    /// <summary>Gets the elements that share a scale. Default: 64; must divide the number of elements.</summary>
    public long GroupSize { get; init; } = 64;

    /// <summary>Gets along which dimension groups run: 1 (default) along rows of the reshaped weight, 0 along
    /// columns.</summary>
    public int Axis { get; init; } = 1;

    /// <summary>Gets whether zero points are optimized (default) or taken from smallest and largest value.</summary>
    public bool Optimize { get; init; } = true;

    /// <summary>Gets the type of scales and zero points. Default: float16.</summary>
    public ScalarType ComputeType { get; init; } = ScalarType.Float16;

    /// <summary>Gets whether zero points stay codes, <c>x = (q − z) · s</c>, instead of values,
    /// <c>x = (q − mid) · s + z</c> (default).</summary>
    public bool RawOutput { get; init; }

    /// <summary>Gets p of the norm that is minimized. Default: 0.7.</summary>
    public double Norm { get; init; } = 0.7;

    /// <summary>Gets the first weight of the quadratic penalty. Default: 10.</summary>
    public double Beta { get; init; } = 10;

    /// <summary>Gets by what the weight grows in each round. Default: 1.01.</summary>
    public double Kappa { get; init; } = 1.01;

    /// <summary>Gets the type in which zero points are optimized. Default: float32; torchao takes float16 on CUDA, which
    /// costs accuracy and is here to compare with it.</summary>
    public ScalarType SolverType { get; init; } = ScalarType.Float32;

    /// <summary>Gets the most rounds. Default: 20; the first round without progress is the last.</summary>
    public int Iterations { get; init; } = 20;
}
