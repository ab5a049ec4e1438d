using TorchAO.Kernels;
using TorchAO.Modules;
using TorchAO.Runtime.Libtorch;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Puts quantized weights into layers: what quantizing a model and loading a quantized one share.</summary>
internal static class LayerPlacement
{
    /// <summary>Places a quantized weight at a module's path.</summary>
    /// <param name="sites">The model's layers, from <see cref="ModuleWalker.Find"/>.</param>
    /// <param name="name">The module's path, such as <c>model.layers.0.mlp.up_proj</c>.</param>
    /// <param name="executor">The weight; owned by the model from then on.</param>
    /// <returns>The road the layer took.</returns>
    /// <exception cref="QuantizationException">No linear layer has this path, or its shape is another.</exception>
    public static LayerOutcome Place(IReadOnlyList<LayerSite> sites, string name, LinearExecutor executor)
    {
        LayerSite site = sites.FirstOrDefault(site => site.Name == name || site.Aliases.Contains(name))
            ?? throw new QuantizationException(
                $"module '{name}': the model has no linear layer of this name; near: {NearNames.List(name, sites.Select(s => s.Name))}. " +
                "Build the model from the checkpoint's own configuration.");
        if (site.Linear is not { } linear || site.Executor is not null)
        {
            throw new QuantizationException(
                $"module '{name}' is a {site.Layer.GetType().Name}, expected a Linear that is not quantized; load into a fresh model.");
        }

        if (linear.out_features != executor.Weight.Shape[0] || linear.in_features != executor.Weight.Shape[1])
        {
            throw new QuantizationException(
                $"module '{name}': got a quantized weight [{string.Join(", ", executor.Weight.Shape)}], expected " +
                $"[{linear.out_features}, {linear.in_features}]; build the model from the checkpoint's own configuration.");
        }

        if (ReasonBiasDoesNotFit(site) is { } reason)
        {
            throw new QuantizationException($"module '{site.Name}': {reason}. Repair the layer before loading into it.");
        }

        return Place(site, executor);
    }

    /// <summary>Places a quantized weight in a layer, at every place that holds it.</summary>
    public static LayerOutcome Place(LayerSite site, LinearExecutor executor)
    {
        switch (site.Layer)
        {
            case Embedding embedding:
                return Place(site, embedding, executor);
            case Convolution convolution:
                return Place(site, convolution, executor);
        }

        Linear linear = site.Linear!;
        bool isShared = site.TiedTo is not null || site.Share.Holders-- > 1;
        if (site.ReasonNotToSwap(typeof(QuantizedLinear)) is not null)
        {
            MoveBias(linear, executor.Weight.Device);
            InPlaceLinear.Install(linear, executor, isShared);
            return LayerOutcome.InPlace;
        }

        MoveBias(linear, executor.Weight.Device);
        var replacement = new QuantizedLinear(executor, linear.bias);
        replacement.train(linear.training);
        foreach (ModuleSlot slot in site.Slots)
        {
            slot.Set(replacement);
        }

        // The bias has moved; the weight too, if another module still needs it.
        LinearParameters.TakeBias(linear);
        if (isShared)
        {
            LinearParameters.TakeWeight(linear);
        }

        linear.Dispose();
        return LayerOutcome.Swapped;
    }

    /// <summary>Says why a layer's bias does not go with its weight, or <see langword="null"/> if it does.</summary>
    public static string? ReasonBiasDoesNotFit(LayerSite site)
    {
        (Tensor? weight, Tensor? bias) = site.Layer switch
        {
            Linear linear => (linear.weight, linear.bias),
            Convolution convolution => (convolution.weight, convolution.bias),
            _ => ((Tensor?)null, (Tensor?)null),
        };
        return bias is not null && (bias.dim() != 1 || bias.size(0) != weight!.size(0))
            ? $"the bias has shape [{string.Join(", ", bias.shape)}], expected [{weight!.size(0)}], the rows of its weight " +
              $"[{string.Join(", ", weight.shape)}]"
            : null;
    }

    /// <summary>Gives a quantized layer its floating-point weight back.</summary>
    public static void Restore(LayerSite site)
    {
        if (site.Layer is Linear linear)
        {
            InPlaceLinear.Restore(linear, site.Executor!);
            return;
        }

        nn.Module? whole = site.Layer switch
        {
            QuantizedEmbedding table => table.Dequantize(),
            QuantizedConvolution convolution => convolution.Dequantize(),
            _ => null,
        };
        if (whole is not null)
        {
            Swap(site, whole, site.Layer.training);
            site.Layer.Dispose();
            return;
        }

        var quantized = (QuantizedLinear)site.Layer;
        using IDisposable noGradient = no_grad();
        Parameter weight = LinearParameters.Adopt(quantized.Weight.Dequantize(), requiresGrad: true);
        Linear replacement = LinearParameters.CreateLayer(weight, quantized.TakeBias());
        replacement.train(quantized.training);
        foreach (ModuleSlot slot in site.Slots)
        {
            slot.Set(replacement);
        }

        quantized.Dispose();
    }

    /// <summary>Replaces convolutions with a window of one pixel by linear layers.</summary>
    public static IReadOnlyList<string> SwapPointwise(nn.Module model, Func<string, nn.Module, bool>? filter)
    {
        LayerSite[] sites =
        [
            .. ModuleWalker.Find(model).Where(site =>
                site.Layer is Conv2d convolution && PointwiseLinear.IsPointwise(convolution) && filter?.Invoke(site.Name, site.Layer) != false),
        ];
        foreach (LayerSite site in sites)
        {
            if (site.ReasonNotToSwap(typeof(PointwiseLinear)) is { } reason)
            {
                throw new QuantizationException(
                    $"module '{site.Name}': a PointwiseLinear cannot take its place: {reason}. Hold the layer in a place of type " +
                    "Module<Tensor, Tensor>, or leave it out by the filter; nothing was changed.");
            }
        }

        foreach (LayerSite site in sites)
        {
            var convolution = (Conv2d)site.Layer;
            Swap(site, new PointwiseLinear(convolution), convolution.training);
            Release(site, convolution);
        }

        return [.. sites.Select(site => site.Name)];
    }

    // The table lives in libtorch, so a linear layer that is tied to it holds it through an object of its own.
    private static LayerOutcome Place(LayerSite site, Embedding embedding, LinearExecutor executor)
    {
        Swap(site, new QuantizedEmbedding(executor), embedding.training);
        embedding.Dispose();
        return LayerOutcome.Swapped;
    }

    private static LayerOutcome Place(LayerSite site, Convolution convolution, LinearExecutor executor)
    {
        using IDisposable noGradient = no_grad();
        using Tensor? values = convolution.bias?.detach();
        Parameter? bias = values is null
            ? null
            : LinearParameters.Adopt(values.to(executor.Weight.Device, copy: true), convolution.bias!.requires_grad);
        Swap(site, new QuantizedConvolution(executor, bias, ConvolutionGeometry.Of(convolution)), convolution.training);
        Release(site, convolution);
        return LayerOutcome.Swapped;
    }

    private static void Release(LayerSite site, Convolution convolution)
    {
        if (site.TiedTo is null && site.Share.Holders-- <= 1)
        {
            convolution.Dispose(); // otherwise another layer still needs the weight
        }
    }

    private static void Swap(LayerSite site, nn.Module replacement, bool isTraining)
    {
        replacement.train(isTraining);
        foreach (ModuleSlot slot in site.Slots)
        {
            slot.Set(replacement);
        }
    }

    private static void MoveBias(Linear linear, Device device)
    {
        if (linear.bias is { } bias && (bias.device_type != device.type || bias.device_index != device.index))
        {
            using IDisposable noGradient = no_grad();
            linear.bias = LinearParameters.Adopt(bias.detach().to(device, disposeAfter: true), bias.requires_grad);
        }
    }
}
