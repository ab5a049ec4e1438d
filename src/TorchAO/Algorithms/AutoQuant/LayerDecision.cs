using System.Globalization;
using System.Reflection;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Lifecycle;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Tuning;
using TorchAO.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Algorithms.AutoQuant;

/// <summary>Measures candidates on each distinct problem, and decides for each layer.</summary>
internal sealed class LayerDecision(FormatCatalog catalog, IReadOnlyList<QuantizeConfig> candidates, AutoQuantOptions options)
{
    private const string Unquantized = "float";

    private static readonly string Build =
        typeof(LayerDecision).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    /// <summary>Decides for all layers.</summary>
    /// <param name="workloads">The layers, those that were never reached too.</param>
    /// <exception cref="QuantizationException">A layer cannot be quantized by a candidate that fits it.</exception>
    public IReadOnlyList<AutoQuantLayer> Decide(IReadOnlyList<LayerWorkload> workloads)
    {
        long modelBytes = workloads.Sum(workload => WeightFacts.Of(workload.Site.FloatWeight!).Bytes);
        var decided = new Dictionary<LayerWorkload, AutoQuantLayer>();
        foreach (IGrouping<Device, LayerWorkload> onDevice in workloads.Where(workload => workload.Sample is not null)
            .GroupBy(workload => workload.Site.FloatWeight!.device, DeviceComparer.Instance))
        {
            using var clock = new CandidateClock(onDevice.Key, modelBytes);
            string machine = Machine(onDevice.Key, clock.IsCold);
            TuningTable table = options.CachePath is null ? new(machine) : TuningTable.Load(options.CachePath, machine);
            foreach (IGrouping<string, LayerWorkload> alike in onDevice.GroupBy(Shape))
            {
                MeasureMissing([.. alike], clock, table);
                if (options.CachePath is not null)
                {
                    table.Save(options.CachePath); // what was measured outlives a cancellation
                }

                foreach (LayerWorkload workload in alike)
                {
                    options.CancellationToken.ThrowIfCancellationRequested();
                    decided.Add(workload, Decide(workload, table));
                    options.Progress?.Report(decided[workload]);
                }
            }
        }

        return [.. workloads.Select(workload => decided.TryGetValue(workload, out AutoQuantLayer? layer) ? layer : Unseen(workload))];
    }

    // All candidates of one weight are there at once, so that they can take turns.
    private void MeasureMissing(LayerWorkload[] alike, CandidateClock clock, TuningTable table)
    {
        LayerWorkload first = alike[0];
        long[] rowCounts = [.. alike.SelectMany(workload => workload.Calls).Select(call => call.Rows).Distinct().Order()];
        var executors = new Dictionary<string, LinearExecutor>();
        try
        {
            foreach (long rows in rowCounts)
            {
                string problem = Problem(first, rows);
                string[] fitting = [Unquantized, .. Fitting(first).Select(Name)];
                if (fitting.All(name => table.TryGet(problem, name, out _)))
                {
                    continue;
                }

                // One that is missing brings the others back: times of another day are no partners to compare with.
                foreach (QuantizeConfig config in Fitting(first).Where(config => !executors.ContainsKey(Name(config))))
                {
                    options.CancellationToken.ThrowIfCancellationRequested();
                    executors.Add(Name(config), Execute(first, config));
                }

                using Tensor input = Rows(first.Sample!, rows);
                Linear linear = first.Site.Linear!;
                Func<Tensor>[] ways =
                [
                    .. fitting.Select<string, Func<Tensor>>(name => name == Unquantized
                        ? () => nn.functional.linear(input, linear.weight!, linear.bias)
                        : () => executors[name].Compute(input, linear.bias)),
                ];
                double[] milliseconds = clock.Measure(ways, options.MeasuringTime, options.CancellationToken);
                for (int i = 0; i < fitting.Length; i++)
                {
                    table.Set(problem, fitting[i], milliseconds[i]);
                }
            }
        }
        finally
        {
            foreach (LinearExecutor executor in executors.Values)
            {
                executor.Dispose();
            }
        }
    }

    private AutoQuantLayer Decide(LayerWorkload workload, TuningTable table)
    {
        WeightFacts facts = Facts(workload);
        var timings = new List<AutoQuantTiming> { new(Unquantized, null, Mean(workload, Unquantized, table), facts.Bytes, Kernel: "libtorch") };
        foreach (QuantizeConfig config in candidates)
        {
            IQuantizeHandler handler = catalog.Handler(config);
            string? reason = ReasonToSkip(facts, config);
            timings.Add(reason is null
                ? new(Name(config), config, Mean(workload, Name(config), table), handler.PredictBytes(facts, config), Kernel: KernelOf(workload, config))
                : new(Name(config), config, null, facts.Bytes, Reason: reason));
        }

        AutoQuantTiming choice = Choose(workload, timings);
        return new AutoQuantLayer(
            workload.Site.Name, facts.OutFeatures, facts.InFeatures, workload.Sample!.dtype, workload.Calls,
            [.. timings.OrderBy(timing => timing.Milliseconds ?? double.MaxValue)], timings.First(timing => timing.Candidate == choice.Candidate));
    }

    // Candidates are tried in the order in which they would win: fastest first, and of those that are as good as the fastest,
    // the smallest first. The first that keeps the floor wins; the layer as it is always does.
    private AutoQuantTiming Choose(LayerWorkload workload, List<AutoQuantTiming> timings)
    {
        var open = timings.Where(timing => timing.Milliseconds is not null).ToList();
        while (true)
        {
            double limit = open.Min(timing => timing.Milliseconds!.Value) * (1 + options.TieMargin);
            AutoQuantTiming best = open.Where(timing => timing.Milliseconds <= limit).MinBy(timing => timing.Bytes)!;
            if (best.Config is null)
            {
                return best;
            }

            double noise = OutputNoise(workload, best.Config);
            AutoQuantTiming measured = best with
            {
                SqnrDecibels = noise,
                Reason = noise < options.MinimumSqnr
                    ? string.Create(CultureInfo.InvariantCulture, $"output SQNR {noise:0.0} dB is below the floor of {options.MinimumSqnr:0.0} dB")
                    : null,
            };
            timings[timings.IndexOf(best)] = measured;
            if (measured.Reason is null)
            {
                return measured;
            }

            open.Remove(best);
        }
    }

    private double OutputNoise(LayerWorkload workload, QuantizeConfig config)
    {
        using DisposeScope scope = NewDisposeScope();
        using LinearExecutor executor = Execute(workload, config);
        Linear linear = workload.Site.Linear!;
        Tensor exact = nn.functional.linear(workload.Sample!, linear.weight!, linear.bias).to(ScalarType.Float64);
        Tensor error = exact - executor.Compute(workload.Sample!, linear.bias).to(ScalarType.Float64);
        return 10 * Math.Log10(exact.square().sum().item<double>() / error.square().sum().item<double>());
    }

    private LinearExecutor Execute(LayerWorkload workload, QuantizeConfig config)
    {
        IQuantizeHandler handler = catalog.Handler(config);
        QuantizedTensor? quantized = null;
        try
        {
            using Tensor weight = workload.Site.FloatWeight!.detach();
            quantized = handler.Quantize(weight, config);
            return catalog.Format(quantized.Format).CreateExecutor(quantized, activation: handler.Activation(config));
        }
        catch (Exception e)
        {
            quantized?.Dispose();
            throw new QuantizationException(
                $"module '{workload.Site.Name}' could not be quantized by {Name(config)}: {e.Message.Split('\n')[0]} Repair the layer, or leave the layer " +
                "or the candidate out; nothing was changed.", e);
        }
    }

    private string KernelOf(LayerWorkload workload, QuantizeConfig config)
    {
        IQuantizeHandler handler = catalog.Handler(config);
        WeightFacts facts = Facts(workload);
        return catalog.Format(handler.FormatName).Explain(new LinearProblem(
            facts.Device, workload.Sample!.dtype, workload.UsualRows, facts.OutFeatures, facts.InFeatures,
            handler.GroupSize(facts, config), handler.Activation(config))).Kernel;
    }

    private IEnumerable<QuantizeConfig> Fitting(LayerWorkload workload)
    {
        WeightFacts facts = Facts(workload);
        return candidates.Where(config => ReasonToSkip(facts, config) is null);
    }

    private string? ReasonToSkip(in WeightFacts facts, QuantizeConfig config) =>
        facts.DType is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16
            ? catalog.Handler(config).ReasonToSkip(facts, config)
            : $"the weight is {facts.DType}, expected Float32, BFloat16 or Float16; convert it first";

    private static AutoQuantLayer Unseen(LayerWorkload workload)
    {
        WeightFacts facts = Facts(workload);
        return new AutoQuantLayer(workload.Site.Name, facts.OutFeatures, facts.InFeatures, facts.DType, [], [], null);
    }

    private static double Mean(LayerWorkload workload, string candidate, TuningTable table)
    {
        (double total, long count) = (0, 0);
        foreach (AutoQuantCalls call in workload.Calls)
        {
            total += table.TryGet(Problem(workload, call.Rows), candidate, out double milliseconds)
                ? milliseconds * call.Count
                : throw new InvalidOperationException($"{candidate} was not measured for {Problem(workload, call.Rows)}.");
            count += call.Count;
        }

        return total / count;
    }

    // The sampled rows over and over: what kernels branch on, if at all, is real.
    private static Tensor Rows(Tensor sample, long rows)
    {
        using Tensor order = arange(rows, device: sample.device).remainder(sample.size(0));
        return sample.index_select(0, order).DetachFromDisposeScope();
    }

    private static WeightFacts Facts(LayerWorkload workload) => WeightFacts.Of(workload.Site.FloatWeight!);

    private string Name(QuantizeConfig config) => ConfigText.Write(catalog, config);

    private static string Shape(LayerWorkload workload)
    {
        WeightFacts facts = Facts(workload);
        return string.Create(CultureInfo.InvariantCulture,
            $"N={facts.OutFeatures} K={facts.InFeatures} {facts.DType} x {workload.Sample!.dtype}{(workload.Site.Linear!.bias is null ? string.Empty : " bias")}");
    }

    private static string Problem(LayerWorkload workload, long rows) => Problem(rows, Shape(workload));

    /// <summary>Names a count of rows through weights of a shape, as the file of measurements does.</summary>
    internal static string Problem(long rows, string shape) => $"M={rows} {shape}";

    /// <summary>Names what times are valid for: this device, this build, weights in the cache or not.</summary>
    internal static string Machine(Device device, bool isCold) =>
        $"{(device.type == DeviceType.CPU ? CpuFeatures.Describe() : $"{device}")}, TorchAO {Build}, {(isCold ? "cold" : "warm")} weights";

    /// <summary>Devices by type and number; TorchSharp compares objects.</summary>
    private sealed class DeviceComparer : IEqualityComparer<Device>
    {
        public static DeviceComparer Instance { get; } = new();

        public bool Equals(Device? x, Device? y) => x?.type == y?.type && x?.index == y?.index;

        public int GetHashCode(Device device) => HashCode.Combine(device.type, device.index);
    }
}
