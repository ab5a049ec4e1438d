using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectre.Console;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Lifecycle;
using TorchAO.Runtime.Cpu;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao bench kernels</c>: one product with each config, beside float32 and the rate of reading memory.</summary>
/// <remarks>
/// The products take turns, so that what else the machine does meets all alike. Before each, memory is read that no cache holds:
/// a weight then comes from memory, as in a model that is larger than the cache.
/// </remarks>
internal sealed class BenchKernels
{
    private const int BandwidthPasses = 15;
    private const int WarmUpCalls = 40; // the runtime compiles a method with its optimizer after thirty calls
    private static readonly TimeSpan WarmUpTime = TimeSpan.FromMilliseconds(150);

    private static readonly string[] UsualConfigs =
    [
        "half_weight_only", "int8_weight_only", "int4_weight_only(group_size=32)", "int8_dynamic_activation_int8_weight",
        "int8_dynamic_activation_int4_weight(group_size=32)", "float8_weight_only", "mx_weight_only(elem_dtype=fp4_e2m1)",
    ];

    private readonly Option<string> shape = new("--shape")
    {
        Description = "The weight, outputs by inputs.",
        DefaultValueFactory = _ => "4096x4096",
        HelpName = "NxK",
    };

    private readonly Option<string> rows = new("--rows")
    {
        Description = "The counts of activation rows: 1 for generating a token, many for reading a prompt.",
        DefaultValueFactory = _ => "1,8,128",
        HelpName = "M,M",
    };

    private readonly Option<string[]> configs = new("--quantize", "-q")
    {
        Description = "A config to measure, such as int8wo. May be given again; a usual selection if absent.",
        DefaultValueFactory = _ => [],
        HelpName = "config",
    };

    private readonly Option<bool> all = new("--all", "-a") { Description = "Measure every config there is." };

    private readonly Option<int> rounds = BenchCommand.Count("--rounds", "How many turns each product has.", 15);

    private readonly Terminal terminal;

    private BenchKernels(Terminal terminal) => this.terminal = terminal;

    public static Command Create(Terminal terminal)
    {
        var bench = new BenchKernels(terminal);
        bench.shape.Validators.Add(result => Numbers(result, 'x', 2));
        bench.rows.Validators.Add(result => Numbers(result, ',', null));
        var command = new Command("kernels", "Time one linear product with each config, on the CPU.")
        {
            bench.shape, bench.rows, bench.configs, bench.all, bench.rounds,
        };
        command.SetAction((parsed, cancellation) => Task.Run(() => bench.Run(parsed, cancellation), CancellationToken.None));
        return command;
    }

    private static void Numbers(OptionResult result, char separator, int? count)
    {
        string text = result.GetValueOrDefault<string>() ?? string.Empty;
        string[] parts = text.Split(separator);
        if ((count is not null && parts.Length != count)
            || !parts.All(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0))
        {
            result.AddError(
                $"{result.Option.Name} {text}, expected {(count is null ? "counts such as 1,8,128" : "two sizes such as 4096x14336")}.");
        }
    }

    private static int[] Parse(string text, char separator) =>
        [.. text.Split(separator).Select(part => int.Parse(part, CultureInfo.InvariantCulture))];

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        string[] texts = parsed.GetRequiredValue(configs);
        if (parsed.GetValue(all) && texts.Length > 0)
        {
            throw new ArgumentException("--all with --quantize: expected one or the other.");
        }

        texts = parsed.GetValue(all) ? [.. EvalSweep.Configs] : texts.Length > 0 ? texts : UsualConfigs;
        QuantizeConfig[] chosen = [.. texts.Select(text => ConfigText.Parse(BuiltInFormats.Catalog, text))];
        int[] size = Parse(parsed.GetRequiredValue(shape), 'x');
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        using var memory = new MemoryBandwidth();
        double bandwidth = memory.Measure(BandwidthPasses).BestGigabytesPerSecond;
        Tensor weight = randn(size[0], size[1]);
        var skipped = new List<(string Config, string Reason)>();
        var executors = new List<(string Config, LinearExecutor Executor)>();
        try
        {
            foreach ((string text, QuantizeConfig config) in texts.Zip(chosen))
            {
                IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
                if (handler.ReasonToSkip(WeightFacts.Of(weight), config) is { } reason)
                {
                    skipped.Add((text, CommandWords.Of(reason)));
                    continue;
                }

                cancellation.ThrowIfCancellationRequested();
                QuantizedTensor quantized = handler.Quantize(weight, config);
                executors.Add((text, BuiltInFormats.Catalog.Format(handler.FormatName)
                    .CreateExecutor(quantized, activation: handler.Activation(config))));
            }

            if (executors.Count == 0)
            {
                throw new QuantizationException(
                    $"--shape {size[0]}x{size[1]}: none of the {skipped.Count} configs fits, so nothing was measured: " +
                    $"{string.Join("; ", skipped.Select(one => $"{one.Config}: {one.Reason}"))}. Give another --quantize or --shape.");
            }

            Row[] table =
            [
                .. Parse(parsed.GetRequiredValue(rows), ',')
                    .SelectMany(m => Measure(weight, m, executors, memory, parsed.GetValue(rounds), cancellation)),
            ];
            Write(size, bandwidth, table, skipped);
        }
        finally
        {
            executors.ForEach(entry => entry.Executor.Dispose());
        }

        return ExitCode.Success;
    }

    private static Row[] Measure(
        Tensor weight, int m, List<(string Config, LinearExecutor Executor)> executors, MemoryBandwidth memory, int rounds,
        CancellationToken cancellation)
    {
        using Tensor input = randn(m, weight.size(1));
        (string Config, string Kernel, long Bytes, Func<Tensor> Multiply)[] ways =
        [
            ("float32", "libtorch", weight.numel() * weight.element_size(), () => nn.functional.linear(input, weight)),
            .. executors.Select(entry => (
                entry.Config,
                entry.Executor.Explain(m, input.dtype).Kernel,
                entry.Executor.Weight.Bytes,
                (Func<Tensor>)(() => entry.Executor.Forward(input, null)))),
        ];
        foreach ((_, _, _, Func<Tensor> multiply) in ways)
        {
            long start = Stopwatch.GetTimestamp();
            for (int call = 0; call < WarmUpCalls && (call < 2 || Stopwatch.GetElapsedTime(start) < WarmUpTime); call++)
            {
                cancellation.ThrowIfCancellationRequested();
                multiply().Dispose();
            }
        }

        double[][] milliseconds = [.. ways.Select(_ => new double[rounds])];
        for (int round = 0; round < rounds; round++)
        {
            for (int i = 0; i < ways.Length; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                int way = round % 2 == 0 ? i : ways.Length - 1 - i; // nobody always follows the same neighbour
                memory.Read();
                long start = Stopwatch.GetTimestamp();
                ways[way].Multiply().Dispose();
                milliseconds[way][round] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
        }

        Array.ForEach(milliseconds, Array.Sort);
        return
        [
            .. ways.Zip(milliseconds, (way, times) => new Row(
                m, way.Config, way.Kernel, way.Bytes, times[rounds / 2], times[0], milliseconds[0][rounds / 2] / times[rounds / 2])),
        ];
    }

    private void Write(int[] size, double bandwidth, Row[] table, List<(string Config, string Reason)> skipped)
    {
        if (terminal.IsJson)
        {
            terminal.WriteJson(new JsonObject
            {
                ["processor"] = CpuFeatures.Describe(),
                ["shape"] = new JsonArray([.. size.Select(number => JsonValue.Create(number))]),
                ["read_gigabytes_per_second"] = Math.Round(bandwidth, 2),
                ["products"] = new JsonArray([.. table.Select(row => row.Json(bandwidth))]),
                ["skipped"] = new JsonArray(
                    [.. skipped.Select(one => new JsonObject { ["config"] = one.Config, ["reason"] = one.Reason })]),
            });
            return;
        }

        if (!terminal.IsLive)
        {
            terminal.Screen.Profile.Width = 200; // in a file or a pipe the table is Markdown, and a wrapped row is none
        }

        terminal.Out.WriteLine(CpuFeatures.Describe());
        terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"weight [{size[0]}, {size[1]}], memory read at {bandwidth:F1} GB/s"));
        Table screen = new Table().Border(terminal.IsLive ? TableBorder.Simple : TableBorder.Markdown);
        screen.AddColumn(new TableColumn("rows").RightAligned()).AddColumn(new TableColumn("config").NoWrap()).AddColumn("kernel");
        foreach (string title in (string[])["MB", "ms", "ms, best", "GB/s", "share of read", "x float32"])
        {
            screen.AddColumn(new TableColumn(title).RightAligned());
        }

        foreach (Row row in table)
        {
            screen.AddRow([.. row.Cells(bandwidth).Select(cell => new Text(cell))]);
        }

        terminal.Screen.Write(screen);
        foreach ((string config, string reason) in skipped)
        {
            terminal.Out.WriteLine($"{config}: {reason}");
        }
    }

    /// <summary>What was measured of one product.</summary>
    private sealed record Row(
        int Rows, string Config, string Kernel, long Bytes, double Milliseconds, double BestMilliseconds, double TimesFloat)
    {
        private double GigabytesPerSecond => Bytes / Milliseconds / 1e6;

        public string[] Cells(double bandwidth) =>
        [
            Rows.ToString(CultureInfo.InvariantCulture), Config, Kernel, Number(Bytes / 1e6, "F1"), Number(Milliseconds, "F3"),
            Number(BestMilliseconds, "F3"), Number(GigabytesPerSecond, "F1"), Number(GigabytesPerSecond / bandwidth, "F2"),
            Number(TimesFloat, "F2"),
        ];

        public JsonObject Json(double bandwidth) => new()
        {
            ["rows"] = Rows,
            ["config"] = Config,
            ["kernel"] = Kernel,
            ["weight_bytes"] = Bytes,
            ["milliseconds"] = Math.Round(Milliseconds, 5),
            ["best_milliseconds"] = Math.Round(BestMilliseconds, 5),
            ["gigabytes_per_second"] = Math.Round(GigabytesPerSecond, 2),
            ["share_of_read"] = Math.Round(GigabytesPerSecond / bandwidth, 3),
            ["times_float32"] = Math.Round(TimesFloat, 3),
        };

        private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
    }
}
