using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Carries a plan out and takes it back.</summary>
internal static class ModelQuantizer
{
    private const long ErrorBlockElements = 1 << 20;

    public static QuantizeReport Explain(nn.Module model, ModuleRules rules, FormatCatalog catalog, QuantizeOptions options) =>
        new([.. QuantizePlan.Make(model, rules, catalog, options).Select(plan => plan.Report)]);

    public static QuantizeReport Quantize(nn.Module model, ModuleRules rules, FormatCatalog catalog, QuantizeOptions options)
    {
        IReadOnlyList<LayerPlan> plans = QuantizePlan.Make(model, rules, catalog, options);
        QuantizePlan.RequireCoverage(model, new([.. plans.Select(plan => plan.Report)]), options);
        return Quantize(plans, catalog, options, plan =>
        {
            using Tensor weight = plan.Site.FloatWeight!.detach();
            return weight.reshape(LayerSite.RowShape(weight));
        });
    }

    /// <summary>Carries a plan out.</summary>
    /// <param name="plans">The plan, which covers enough of the model.</param>
    /// <param name="catalog">The formats.</param>
    /// <param name="options">Progress, cancellation, whether errors are measured.</param>
    /// <param name="read">Gets a layer's floating-point weight, which is disposed when it has been quantized.</param>
    /// <param name="beforePlacing">What is to happen after the last weight was quantized and before the model changes.</param>
    public static QuantizeReport Quantize(
        IReadOnlyList<LayerPlan> plans,
        FormatCatalog catalog,
        QuantizeOptions options,
        Func<LayerPlan, Tensor> read,
        Action? beforePlacing = null)
    {
        // Weights must be ordinary tensors even if the caller is in inference mode: gradients may pass them later.
        using IDisposable ordinary = inference_mode(false);
        using IDisposable noGradient = no_grad();
        return Place(Prepare(plans, catalog, options, read, beforePlacing));
    }

    /// <summary>Gives every quantized layer its floating-point weight back.</summary>
    public static IReadOnlyList<string> Dequantize(nn.Module model)
    {
        LayerSite[] sites = [.. ModuleWalker.Find(model).Where(site => site.Executor is not null)];
        foreach (LayerSite site in sites)
        {
            if (site.Layer is not Linear && site.ReasonNotToSwap(site.FloatType) is { } reason)
            {
                throw new QuantizationException(
                    $"module '{site.Name}': a {site.FloatType.Name} cannot take its place: {reason}. Call Dequantize() on the layer itself and " +
                    "store the result; nothing was changed.");
            }
        }

        using IDisposable ordinary = inference_mode(false);
        foreach (LayerSite site in sites)
        {
            LayerPlacement.Restore(site);
        }

        return [.. sites.Select(site => site.Name)];
    }

    // All weights are quantized before the first is placed: an error or a cancellation leaves the model as it was, at the
    // cost of having both kinds of weights for a while.
    private static List<PreparedLayer> Prepare(
        IReadOnlyList<LayerPlan> plans,
        FormatCatalog catalog,
        QuantizeOptions options,
        Func<LayerPlan, Tensor> read,
        Action? beforePlacing)
    {
        var prepared = new List<PreparedLayer>();
        bool isComplete = false;
        try
        {
            foreach (LayerPlan plan in plans)
            {
                options.CancellationToken.ThrowIfCancellationRequested();
                prepared.Add(plan.Handler is null ? new(plan.Site, plan.Report, null) : Prepare(plan, catalog, options, read));
                options.Progress?.Report(prepared[^1].Report);
            }

            beforePlacing?.Invoke();
            isComplete = true;
            return prepared;
        }
        finally
        {
            foreach (PreparedLayer layer in isComplete ? [] : prepared)
            {
                layer.Executor?.Dispose();
            }
        }
    }

    private static PreparedLayer Prepare(
        LayerPlan plan, FormatCatalog catalog, QuantizeOptions options, Func<LayerPlan, Tensor> read)
    {
        using Tensor weight = read(plan);
        QuantizedTensor? quantized = null;
        try
        {
            using Tensor moved = weight.to(plan.Device!);
            quantized = plan.Handler!.Quantize(moved, plan.Report.Config!);
            double? noise = options.MeasureError ? SignalToNoise(moved, quantized) : null;
            LinearExecutor executor = catalog.Format(quantized.Format).CreateExecutor(
                quantized, options.Kernel, plan.Handler.Activation(plan.Report.Config!));
            executor.Origin = ConfigText.ToJson(catalog, plan.Report.Config!).ToJsonString();
            string kernel = options.Kernel is null ? plan.Report.Kernel! : plan.Site.ExplainKernel(executor);
            return new(
                plan.Site, plan.Report with { BytesAfter = quantized.Bytes, SignalToNoiseDecibels = noise, Kernel = kernel }, executor);
        }
        catch (Exception e)
        {
            quantized?.Dispose();
            throw new QuantizationException(
                $"module '{plan.Site.Name}' could not be quantized by {ConfigText.Write(catalog, plan.Report.Config!)}: {e.Message.Split('\n')[0]} Repair the " +
                "layer or skip it by a rule; nothing was changed.", e);
        }
    }

    private static QuantizeReport Place(List<PreparedLayer> prepared)
    {
        var done = new List<LayerReport>();
        try
        {
            foreach (PreparedLayer layer in prepared)
            {
                done.Add(layer.Executor is null
                    ? layer.Report
                    : layer.Report with { Outcome = LayerPlacement.Place(layer.Site, layer.Executor) });
            }

            return new QuantizeReport(done);
        }
        catch (Exception e)
        {
            foreach (PreparedLayer layer in prepared.Skip(done.Count))
            {
                layer.Executor?.Dispose();
            }

            throw new QuantizationException(
                $"module '{prepared[done.Count].Site.Name}' could not be replaced in its holder: {e.Message.Split('\n')[0]} The " +
                $"{done.Count(layer => layer.IsQuantized)} layers before it are quantized and work, those after it are as they " +
                "were. Repair the holder, or call Dequantize() to go back.", e);
        }
    }

    // A few rows at a time: in one piece the float64 copies would be the largest memory of a streamed model.
    private static double SignalToNoise(Tensor weight, QuantizedTensor quantized)
    {
        (double signal, double noise) = (0, 0);
        long rows = weight.size(0);
        long block = Math.Max(1, ErrorBlockElements / weight.size(1));
        for (long start = 0; start < rows; start += block)
        {
            using DisposeScope scope = NewDisposeScope();
            long count = Math.Min(block, rows - start);
            using QuantizedTensor part = quantized.Narrow(0, start, count);
            Tensor exact = weight.narrow(0, start, count).to(ScalarType.Float64);
            Tensor error = exact - part.Dequantize(ScalarType.Float32).to(ScalarType.Float64);
            signal += exact.square().sum().item<double>();
            noise += error.square().sum().item<double>();
        }

        return 10 * Math.Log10(signal / noise);
    }

    /// <summary>A layer of a plan with its quantized weight, not yet placed.</summary>
    private sealed record PreparedLayer(LayerSite Site, LayerReport Report, LinearExecutor? Executor);
}
