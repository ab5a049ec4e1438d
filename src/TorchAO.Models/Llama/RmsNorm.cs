using TorchAO.Kernels.Fused;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>Computes <c>y = x / √(mean(x²) + ε) · w</c> over the last dimension, in float32 (Zhang and Sennrich 2019, arXiv:1910.07467).</summary>
public sealed class RmsNorm : nn.Module<Tensor, Tensor>
{
    private readonly double epsilon;
    private Parameter weight; // the name under which .to() replaces it

    /// <summary>Creates the layer with a gain of 1.</summary>
    /// <param name="size">The last dimension.</param>
    /// <param name="epsilon">What keeps the root from zero.</param>
    /// <param name="dtype">The type of the gain.</param>
    /// <param name="device">The device of the gain.</param>
    public RmsNorm(long size, double epsilon, ScalarType dtype = ScalarType.Float32, Device? device = null)
        : base(nameof(RmsNorm))
    {
        this.epsilon = epsilon;
        weight = new Parameter(ones(size, dtype: dtype, device: device));
        RegisterComponents();
    }

    /// <summary>Gets whether somebody waits for the module to be called.</summary>
    internal bool HasHooks => pre_hooks.Count + post_hooks.Count + module_pre_hooks.Count + module_post_hooks.Count > 0;

    /// <summary>Gets what normalized numbers are multiplied by, <c>[D]</c>.</summary>
    internal Tensor Gain => weight;

    /// <summary>Gets what keeps the root from zero.</summary>
    internal double Epsilon => epsilon;

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor wide = input.to(ScalarType.Float32);
        Tensor variance = wide.mul(wide).mean([-1L], keepdim: true);
        Tensor normalized = wide.mul(variance.add(epsilon).rsqrt());
        return normalized.to(input.dtype).mul(weight).MoveToOuterDisposeScope();
    }

    /// <summary>Normalizes rows on the CPU without a tensor operator.</summary>
    /// <param name="rows">Rows <c>[R, D]</c>.</param>
    /// <param name="output">The result <c>[R, D]</c>; may be the rows.</param>
    /// <param name="scratch">Room for the gain where it is not float32.</param>
    internal void Run(ReadOnlySpan<float> rows, Span<float> output, float[] scratch) =>
        RmsNormRows.Run(rows, FloatValues.Of(weight, scratch), epsilon, output);

    /// <summary>Adds rows to the residual stream, and normalizes the sums, on the CPU without a tensor operator.</summary>
    internal void AddAndRun(Span<float> residual, ReadOnlySpan<float> added, Span<float> output, float[] scratch) =>
        RmsNormRows.AddAndRun(residual, added, FloatValues.Of(weight, scratch), epsilon, output);
}
