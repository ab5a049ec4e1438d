using System.Runtime.CompilerServices;
using TorchAO.Kernels;
using TorchAO.Runtime.Libtorch;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>The road for layers that no other class can replace: the <see cref="Linear"/> stays, its weight moves out.</summary>
internal static class InPlaceLinear
{
    private static readonly ConditionalWeakTable<Linear, LinearExecutor> Executors = [];

    /// <summary>Finds the executor behind a layer, or <see langword="null"/> for an ordinary layer.</summary>
    public static LinearExecutor? Find(Linear linear) =>
        linear.weight is InPlaceParameter { IsInvalid: false } && Executors.TryGetValue(linear, out LinearExecutor? executor)
            ? executor
            : null;

    /// <summary>Makes a layer run an executor, which the layer owns from then on; its old weight is disposed.</summary>
    public static void Install(Linear linear, LinearExecutor executor)
    {
        var weakLayer = new WeakReference<Linear>(linear);
        var placeholder = QuantizedPlaceholder.Create(
            executor.Weight.Shape[0],
            executor.Weight.Shape[1],
            executor.Weight.Device,
            input => executor.Compute(input, weakLayer.TryGetTarget(out Linear? layer) ? QuantizedPlaceholder.BiasOf(layer) : null),
            executor.ComputeInputGradient);
        placeholder.InstallInto(linear);
        linear.weight = new InPlaceParameter(placeholder, executor);
        Executors.AddOrUpdate(linear, executor);
    }

    /// <summary>Gives a layer a floating-point weight and its bias back.</summary>
    public static void Restore(Linear linear, LinearExecutor executor)
    {
        Tensor weight = executor.Weight.Dequantize().DetachFromDisposeScope();
        Parameter? bias = QuantizedPlaceholder.BiasOf(linear);
        Tensor? copy = bias?.detach().clone().DetachFromDisposeScope();
        Executors.Remove(linear);
        linear.weight = new Parameter(weight);
        if (copy is not null)
        {
            linear.bias = new Parameter(copy);
            bias!.Dispose();
        }
    }

    /// <summary>Disposes the quantized weight with the layer: TorchSharp's <see cref="Linear"/> disposes its parameters only.</summary>
    private sealed class InPlaceParameter : Parameter
    {
        private readonly QuantizedPlaceholder placeholder;
        private readonly LinearExecutor executor;

        public InPlaceParameter(QuantizedPlaceholder placeholder, LinearExecutor executor)
            : base(placeholder.CreateParameter(), requires_grad: false)
        {
            this.placeholder = placeholder;
            this.executor = executor;
            DetachFromDisposeScope();
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                placeholder.Dispose();
                executor.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
