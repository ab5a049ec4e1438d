using System.Text.Json.Nodes;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Tensors;

namespace TorchAO.Lifecycle;

/// <summary>What to write instead of a group size that does not divide a weight's rows.</summary>
/// <remarks>
/// Any divisor would fit, but small and odd ones leave the format's fast kernel for a slow one, so that following the advice would
/// make the model slow without a word. Only sizes are named for which the format runs the kernel that it runs with one scale a row.
/// </remarks>
internal static class GroupAdvice
{
    private const int Shown = 3;

    // Kernels for groups are made for multiples of it, whatever the processor; some take others too, which is not worth advice.
    private const long Step = 32;

    /// <summary>Gives the advice, to stand behind a reason; empty where the group size is not what is wrong.</summary>
    /// <param name="weight">The weight.</param>
    /// <param name="config">The config that does not fit it.</param>
    /// <param name="handler">Its handler.</param>
    /// <param name="catalog">The formats.</param>
    public static string For(in WeightFacts weight, QuantizeConfig config, IQuantizeHandler handler, FormatCatalog catalog)
    {
        JsonObject options = ConfigText.ToJson(catalog, config);
        bool isGranular = !options.ContainsKey("group_size") && options.ContainsKey("granularity");
        long asked = handler.GroupSize(weight, config);
        if ((!isGranular && !options.ContainsKey("group_size")) || asked <= 0 || weight.InFeatures % asked == 0)
        {
            return string.Empty;
        }

        QuantizeConfig WithGroup(long? size)
        {
            options[isGranular ? "granularity" : "group_size"] = (isGranular, size) switch
            {
                (true, null) => "per_row",
                (true, _) => $"per_group({size})",
                _ => size,
            };
            return ConfigText.FromJson(catalog, options);
        }

        string? fastest = KernelOf(weight, WithGroup(null), handler, catalog);
        var sizes = new List<long>();
        for (long size = Step; size < weight.InFeatures; size += Step)
        {
            if (weight.InFeatures % size == 0 && fastest is not null && KernelOf(weight, WithGroup(size), handler, catalog) == fastest)
            {
                sizes.Add(size);
            }
        }

        // Nearest by ratio: group sizes are thought of in powers.
        long[] near = [.. sizes.OrderBy(size => Math.Abs(Math.Log((double)size / asked))).Take(Shown).Order()];
        string option = isGranular ? "a Granularity of " : "a GroupSize of ";
        string row = fastest is null ? string.Empty : isGranular ? "PerRow for one scale a row" : "null for one scale a row";
        return (near.Length, row.Length) switch
        {
            (0, 0) => string.Empty,
            (0, _) => $"; no multiple of {Step} that divides it has a fast kernel, so use {option}{row}",
            _ => $"; use {option}{List(near, isGranular)}, or {row}",
        };
    }

    // The kernel for one row of activations, or null where the config does not fit or nothing but the reference would run.
    private static string? KernelOf(in WeightFacts weight, QuantizeConfig config, IQuantizeHandler handler, FormatCatalog catalog)
    {
        try
        {
            if (handler.ReasonToSkip(weight, config) is not null)
            {
                return null;
            }
        }
        catch (QuantizationException)
        {
            return null; // some options admit certain sizes only
        }

        KernelChoice choice = catalog.Format(handler.FormatName).Explain(new LinearProblem(
            weight.Device, weight.DType, 1, weight.OutFeatures, weight.InFeatures, handler.GroupSize(weight, config),
            handler.Activation(config)));
        return choice.IsReference ? null : choice.Kernel;
    }

    private static string List(long[] sizes, bool isGranular)
    {
        string[] texts = [.. sizes.Select(size => isGranular ? $"PerGroup({size})" : $"{size}")];
        return texts.Length == 1 ? texts[0] : $"{string.Join(", ", texts[..^1])} or {texts[^1]}";
    }
}
