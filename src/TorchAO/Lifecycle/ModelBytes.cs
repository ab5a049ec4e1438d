using TorchAO.Kernels;
using TorchAO.Modules;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Counts the bytes of a model: parameters, buffers and quantized weights, whatever is shared once.</summary>
internal static class ModelBytes
{
    public static long Of(nn.Module model)
    {
        var seen = new HashSet<nint>();
        long bytes = 0;
        foreach (nn.Module module in model.modules().Prepend(model).Distinct(ReferenceEqualityComparer.Instance).Cast<nn.Module>())
        {
            bytes += Tensors(module).Sum(tensor => IsNew(seen, tensor) ? tensor.numel() * tensor.element_size() : 0);
        }

        return bytes;
    }

    private static IEnumerable<Tensor> Tensors(nn.Module module)
    {
        LinearExecutor? executor = module switch
        {
            QuantizedModule quantized => quantized.Executor,
            Linear linear => InPlaceLinear.Find(linear),
            _ => null,
        };
        if (executor is null)
        {
            return module.parameters(recurse: false).Concat<Tensor>(module.buffers(recurse: false));
        }

        Tensor? bias = module switch
        {
            QuantizedModule swapped => swapped.Bias,
            Linear linear => QuantizedPlaceholder.BiasOf(linear),
            _ => null,
        };
        IEnumerable<Tensor> weight = executor.Weight.Components.Select(component => component.Value);
        return bias is null ? weight : weight.Append(bias);
    }

    // Tensors on meta have no memory. One with strides is counted by itself: its storage is not at its own address.
    private static bool IsNew(HashSet<nint> seen, Tensor tensor) =>
        !tensor.IsInvalid && tensor.device_type != DeviceType.META
        && (tensor.numel() == 0 || !tensor.is_contiguous() || seen.Add(TensorMemory.DeviceAddress(tensor)));
}
