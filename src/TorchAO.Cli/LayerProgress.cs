using System.Globalization;
using Spectre.Console;
using TorchAO.Lifecycle;

namespace TorchAO.Cli;

/// <summary>A bar that moves with each layer, on terminals.</summary>
internal static class LayerProgress
{
    /// <summary>Runs work that reports its layers.</summary>
    /// <param name="terminal">Where the bar appears; nowhere unless a person looks.</param>
    /// <param name="total">How many layers will be reported.</param>
    /// <param name="work">The work.</param>
    public static T Run<T>(Terminal terminal, int total, Func<IProgress<LayerReport>, T> work)
    {
        if (!terminal.IsLive)
        {
            return work(new Relay<LayerReport>(_ => { }));
        }

        return terminal.Bar().Start(context =>
        {
            ProgressTask task = context.AddTask("quantizing", maxValue: Math.Max(1, total));
            (long before, long after) = (0, 0);
            return work(new Relay<LayerReport>(layer =>
            {
                (before, after) = (before + layer.BytesBefore, after + layer.BytesAfter);
                string error = layer.SignalToNoiseDecibels is double decibels
                    ? string.Create(CultureInfo.InvariantCulture, $", {decibels:F1} dB") : string.Empty;
                task.Description = Markup.Escape($"{layer.Name}{error}  {Sizes.Bytes(before)} -> {Sizes.Bytes(after)}");
                task.Increment(1);
            }));
        });
    }
}
