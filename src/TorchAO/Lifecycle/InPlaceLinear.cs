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
    private static readonly ConditionalWeakTable<Linear, Action> RemoveCheck = [];

    /// <summary>Finds the executor behind a layer, or <see langword="null"/> for an ordinary layer.</summary>
    public static LinearExecutor? Find(Linear linear) =>
        linear.weight is { IsInvalid: false } weight && QuantizedPlaceholder.Find(weight) is not null
        && Executors.TryGetValue(linear, out LinearExecutor? executor)
            ? executor
            : null;

    /// <summary>Makes a layer run an executor, which the layer owns from then on.</summary>
    /// <param name="linear">The layer.</param>
    /// <param name="executor">The weight that it runs.</param>
    /// <param name="keepsWeight">Whether another module still needs the old weight, which is disposed otherwise.</param>
    public static void Install(Linear linear, LinearExecutor executor, bool keepsWeight)
    {
        var weakLayer = new WeakReference<Linear>(linear);
        var placeholder = QuantizedPlaceholder.Create(
            executor.Weight.Shape[0],
            executor.Weight.Shape[1],
            executor.Weight.Device,
            input => executor.Compute(input, weakLayer.TryGetTarget(out Linear? layer) ? QuantizedPlaceholder.BiasOf(layer) : null),
            executor.ComputeInputGradient,
            released: () => Release(weakLayer, executor),
            requireFits: input => RequireInputFits(input, executor));
        if (keepsWeight)
        {
            LinearParameters.TakeWeight(linear);
        }

        placeholder.InstallInto(linear);
        Executors.AddOrUpdate(linear, executor);

        // An error inside libtorch's call comes back as TorchSharp's ExternalException, which carries our text and not our type. A
        // hook runs before that call, so that call() and Sequential give the type too; forward() runs no hooks.
        RemoveCheck.AddOrUpdate(linear, linear.register_forward_pre_hook((_, input) =>
        {
            RequireInputFits(input, executor);
            return input;
        }).remove);
    }

    /// <summary>Gives a layer a floating-point weight and its bias back.</summary>
    public static void Restore(Linear linear, LinearExecutor executor)
    {
        bool biasRequiresGrad = QuantizedPlaceholder.Find(linear.weight!) is { BiasRequiresGrad: true };
        using IDisposable noGradient = no_grad();
        Parameter weight = LinearParameters.Adopt(executor.Weight.Dequantize(), requiresGrad: true);
        Executors.Remove(linear);
        if (RemoveCheck.TryGetValue(linear, out Action? remove))
        {
            remove();
            RemoveCheck.Remove(linear);
        }

        linear.weight = weight; // disposes the placeholder, and so the executor
        if (QuantizedPlaceholder.BiasOf(linear) is { } bias)
        {
            LinearParameters.PutBias(linear, bias);
            bias.requires_grad = biasRequiresGrad;
        }
    }

    private static void RequireInputFits(Tensor input, LinearExecutor executor)
    {
        long columns = executor.Weight.Shape[1];
        string where = $"linear in place, {executor.Weight.Format} weight [{executor.Weight.Shape[0]}, {columns}]";
        if (input.dim() == 0 || input.size(-1) != columns)
        {
            throw new QuantizationException(
                $"{where}: the input has shape [{string.Join(", ", input.shape)}], expected {columns} in its last dimension; check the " +
                "layer that feeds this one.");
        }

        if (!input.is_floating_point())
        {
            throw new QuantizationException(
                $"{where}: the input is {input.dtype}, expected a floating-point type; convert it before the layer.");
        }
    }

    // The last reference to the placeholder is gone, with the layer or in Restore, which takes the layer off the table first.
    // TorchSharp's Linear disposes its two fields, not what is registered, so the bias is ours to end with the layer.
    private static void Release(WeakReference<Linear> weakLayer, LinearExecutor executor)
    {
        executor.Dispose();
        if (weakLayer.TryGetTarget(out Linear? layer)
            && Executors.TryGetValue(layer, out LinearExecutor? current) && current == executor)
        {
            QuantizedPlaceholder.BiasOf(layer)?.Dispose();
        }
    }
}
