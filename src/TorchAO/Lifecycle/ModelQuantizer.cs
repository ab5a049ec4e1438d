using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Carries a plan out, layer by layer, and takes it back.</summary>
internal static class ModelQuantizer
{
    public static QuantizeReport Explain(nn.Module model, ModuleRules rules, FormatCatalog catalog, QuantizeOptions options) =>
        new([.. QuantizePlan.Make(model, rules, catalog, options).Select(plan => plan.Report)]);

    public static QuantizeReport Quantize(nn.Module model, ModuleRules rules, FormatCatalog catalog, QuantizeOptions options)
    {
        IReadOnlyList<LayerPlan> plans = QuantizePlan.Make(model, rules, catalog, options);
        QuantizePlan.RequireCoverage(model, new([.. plans.Select(plan => plan.Report)]), options);

        // Weights must be ordinary tensors even if the caller is in inference mode: gradients may pass them later.
        using IDisposable ordinary = inference_mode(false);
        using IDisposable noGradient = no_grad();
        var done = new List<LayerReport>();
        foreach (LayerPlan plan in plans)
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            LayerReport report = plan.Handler is null ? plan.Report : Apply(plan, catalog, options, done.Count(layer => layer.IsQuantized));
            done.Add(report);
            options.Progress?.Report(report);
        }

        return new QuantizeReport(done);
    }

    /// <summary>Gives every quantized layer its floating-point weight back.</summary>
    public static IReadOnlyList<string> Dequantize(nn.Module model)
    {
        LinearSite[] sites = [.. ModuleWalker.Find(model).Where(site => site.Executor is not null)];
        foreach (LinearSite site in sites)
        {
            if (site.Layer is not Linear && site.ReasonNotToSwap(typeof(Linear)) is { } reason)
            {
                throw new QuantizationException(
                    $"module '{site.Name}': a Linear cannot take its place: {reason}. Call Dequantize() on the layer itself and " +
                    "store the result; nothing was changed.");
            }
        }

        using IDisposable ordinary = inference_mode(false);
        foreach (LinearSite site in sites)
        {
            LayerPlacement.Restore(site);
        }

        return [.. sites.Select(site => site.Name)];
    }

    private static LayerReport Apply(LayerPlan plan, FormatCatalog catalog, QuantizeOptions options, int before)
    {
        LinearExecutor? executor = null;
        try
        {
            using Tensor detached = plan.Site.Linear!.weight!.detach();
            using Tensor moved = detached.to(plan.Device!);
            QuantizedTensor quantized = plan.Handler!.Quantize(moved, plan.Report.Config!);
            double? noise = options.MeasureError ? SignalToNoise(moved, quantized) : null;
            executor = catalog.Format(quantized.Format).CreateExecutor(quantized);
            long bytes = quantized.Bytes;
            LayerOutcome outcome = LayerPlacement.Place(plan.Site, executor);
            return plan.Report with { Outcome = outcome, BytesAfter = bytes, SignalToNoiseDecibels = noise };
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            executor?.Dispose();
            throw new QuantizationException(
                $"module '{plan.Site.Name}' could not be quantized: {e.Message.Split('\n')[0]} The {before} layers before it are " +
                "quantized and work; it and those after it are as they were. Call Dequantize() to go back.", e);
        }
    }

    private static double SignalToNoise(Tensor weight, QuantizedTensor quantized)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor exact = weight.to(ScalarType.Float64);
        Tensor error = exact - quantized.Dequantize(ScalarType.Float32).to(ScalarType.Float64);
        return 20 * Math.Log10(exact.norm().item<double>() / error.norm().item<double>());
    }
}
