using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectre.Console;
using TorchAO.KvCache;
using TorchAO.Models.Evaluation;
using TorchAO.Models.Llama;
using TorchAO.Runtime.Cpu;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao bench decode</c> and <c>bench prefill</c>: tokens a second of a model, as it is and quantized, in turns.</summary>
internal sealed class BenchModel
{
    private const int BandwidthPasses = 15;

    private readonly ModelArguments model = new();
    private readonly QuantizeArguments quantize = new();
    private readonly Option<KeyValueFormat> cache = GenerationArguments.CacheOption();

    private readonly Option<string?> shape = new("--shape")
    {
        Description = $"A model of random weights instead, in the shape of a known one: {string.Join(", ", LlamaShapes.Names)}.",
        HelpName = "name",
    };

    private readonly Option<int> prompt;
    private readonly Option<int>? generated;
    private readonly Option<int> rounds = BenchCommand.Count("--rounds", "How many turns each model has.", 5);
    private readonly Terminal terminal;

    private BenchModel(Terminal terminal, bool isDecode)
    {
        this.terminal = terminal;
        prompt = BenchCommand.Count("--prompt-tokens", "The length of the prompt.", isDecode ? 16 : 128);
        generated = isDecode ? BenchCommand.Count("--max-tokens", "How many tokens follow the prompt in a turn.", 32) : null;
    }

    public static Command CreateDecode(Terminal terminal) => new BenchModel(terminal, isDecode: true).CreateCommand(
        "decode", "Time generating tokens, with --quantize both ways.");

    public static Command CreatePrefill(Terminal terminal) => new BenchModel(terminal, isDecode: false).CreateCommand(
        "prefill", "Time reading a prompt, with --quantize both ways.");

    private Command CreateCommand(string name, string description)
    {
        var command = new Command(name, description);
        model.AddTo(command);
        command.Add(shape);
        quantize.AddTo(command);
        command.Add(cache);
        command.Add(prompt);
        if (generated is not null)
        {
            command.Add(generated);
        }

        command.Add(rounds);
        command.SetAction((parsed, cancellation) => Task.Run(() => Run(parsed, cancellation), CancellationToken.None));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        LlamaConfig? random = parsed.GetValue(shape) is { } name ? LlamaShapes.Find(name) : null;
        if (random is not null && model.IsNamed(parsed))
        {
            throw new ArgumentException($"--shape {parsed.GetValue(shape)} with --model: expected one or the other.");
        }

        QuantizeRecipe? recipe = quantize.Recipe(parsed);
        using LoadedModel plain = Load(parsed, random, null, cancellation);
        using LoadedModel? quantized = recipe is null ? null : Load(parsed, random, recipe, cancellation);
        (string Name, LlamaForCausalLM Model)[] models = quantized is null
            ? [("as it is", plain.Model)]
            : [("as it is", plain.Model), ("quantized", quantized.Model)];
        bool isOnGpu = plain.Model.Device.type == TorchSharp.DeviceType.CUDA;
        double bandwidth = isOnGpu ? DeviceMemory.CopyBandwidth(plain.Model.Device) : ReadBandwidth();
        Row[] rows = Measure(parsed, models, cancellation);
        string subject = random is null ? model.Path(parsed) : $"random weights, {parsed.GetValue(shape)}";
        Write(subject, isOnGpu ? DeviceMemory.Describe(plain.Model.Device) : CpuFeatures.Describe(), bandwidth, rows);
        if (quantized is not null)
        {
            SmallModel.WriteNote(terminal, plain.Bytes);
        }

        return ExitCode.Success;
    }

    private LoadedModel Load(ParseResult parsed, LlamaConfig? random, QuantizeRecipe? recipe, CancellationToken cancellation)
    {
        if (random is null)
        {
            return model.Load(parsed, recipe, terminal, cancellation);
        }

        LlamaForCausalLM made = model.Create(parsed, random);
        try
        {
            return new LoadedModel(made, recipe is null ? null : made.Quantize(recipe, new() { CancellationToken = cancellation }));
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    private static double ReadBandwidth()
    {
        using var memory = new MemoryBandwidth();
        return memory.Measure(BandwidthPasses).BestGigabytesPerSecond;
    }

    private Row[] Measure(ParseResult parsed, (string Name, LlamaForCausalLM Model)[] models, CancellationToken cancellation)
    {
        int prompted = parsed.GetValue(prompt), count = generated is null ? 0 : parsed.GetValue(generated), turns = parsed.GetValue(rounds);
        LanguageModelSpeed[] speeds = [.. models.Select(entry => Speed(entry.Model, prompted, count, parsed))];
        try
        {
            double[][] rates = [.. models.Select(_ => new double[turns])];
            TimeSpan[] first = [.. speeds.Select(speed => count == 0 ? TimeSpan.Zero : speed.FirstToken())];
            for (int turn = -1; turn < turns; turn++) // the first turn of each warms up
            {
                for (int i = 0; i < speeds.Length; i++)
                {
                    cancellation.ThrowIfCancellationRequested();
                    double rate = count == 0 ? prompted / speeds[i].Prefill().TotalSeconds : count / speeds[i].Decode().TotalSeconds;
                    if (turn >= 0)
                    {
                        rates[i][turn] = rate;
                    }
                }
            }

            Array.ForEach(rates, Array.Sort);
            return
            [
                .. models.Zip(rates, (entry, rate) => new Row(
                    entry.Name, entry.Model.CountDecodeBytes(), count == 0, rate[turns / 2], rate[^1], rate[turns / 2] / rates[0][turns / 2])
                {
                    DecodePath = count == 0 ? null : speeds[Array.IndexOf(rates, rate)].LastStep,
                    FirstToken = first[Array.IndexOf(rates, rate)],
                    ModelBytes = entry.Model.CountBytes(),
                    DeviceBytes = entry.Model.Device.type == TorchSharp.DeviceType.CUDA ? DeviceMemory.UsedBytes(entry.Model.Device) : null,
                }),
            ];
        }
        finally
        {
            Array.ForEach(speeds, speed => speed.Dispose());
        }
    }

    private LanguageModelSpeed Speed(LlamaForCausalLM loaded, int prompted, int count, ParseResult parsed)
    {
        loaded.eval();
        return new LanguageModelSpeed(loaded, prompted, count, parsed.GetRequiredValue(cache));
    }

    private void Write(string name, string processor, double bandwidth, Row[] rows)
    {
        if (terminal.IsJson)
        {
            terminal.WriteJson(new JsonObject
            {
                ["model"] = name,
                ["processor"] = processor,
                ["read_gigabytes_per_second"] = Math.Round(bandwidth, 2),
                ["runs"] = new JsonArray([.. rows.Select(row => row.Json(bandwidth))]),
            });
            return;
        }

        terminal.Out.WriteLine($"{name}, on {processor}");
        terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"memory read at {bandwidth:F1} GB/s"));

        Table screen = new Table().Border(terminal.IsLive ? TableBorder.Simple : TableBorder.Markdown).AddColumn("model");
        foreach (string title in Row.Titles(rows[0].IsPrefill))
        {
            screen.AddColumn(new TableColumn(title).RightAligned());
        }

        foreach (Row row in rows)
        {
            screen.AddRow([.. row.Cells(bandwidth).Select(cell => new Text(cell))]);
        }

        terminal.Screen.Write(screen);
        foreach (Row row in rows.Where(row => row.DecodePath is not null))
        {
            terminal.Out.WriteLine($"{row.Name}: decode by {row.DecodePath}");
        }

        if (rows[0].DeviceBytes is { } used)
        {
            terminal.Out.WriteLine($"memory in use on the device, both models and their caches: {Sizes.Bytes(used)}");
        }
    }

    /// <summary>What was measured of one model; bytes are those that a new token reads.</summary>
    private sealed record Row(
        string Name, long BytesPerToken, bool IsPrefill, double TokensPerSecond, double BestTokensPerSecond, double TimesFloat)
    {
        /// <summary>Gets how its steps ran; <see langword="null"/> where only prompts were read.</summary>
        public DecodePath? DecodePath { get; init; }

        /// <summary>Gets the time from an empty cache to the first token, when nothing had run before.</summary>
        public TimeSpan FirstToken { get; init; }

        /// <summary>Gets the bytes of all parameters and buffers.</summary>
        public long ModelBytes { get; init; }

        /// <summary>Gets the bytes in use on the GPU when all models had run; <see langword="null"/> on other devices.</summary>
        public long? DeviceBytes { get; init; }

        private double GigabytesPerSecond => BytesPerToken * TokensPerSecond / 1e9;

        public static string[] Titles(bool isPrefill) => isPrefill
            ? ["weights", "tok/s", "tok/s, best", "x as it is"]
            : ["weights read a token", "ms a token", "tok/s", "tok/s, best", "GB/s", "share of read", "first token, ms", "x as it is"];

        public string[] Cells(double bandwidth)
        {
            string[] rates = [Number(TokensPerSecond, "F1"), Number(BestTokensPerSecond, "F1")];
            string times = Number(TimesFloat, "F2");
            return IsPrefill
                ? [Name, Sizes.Bytes(BytesPerToken), .. rates, times]
                :
                [
                    Name, Sizes.Bytes(BytesPerToken), Number(1e3 / TokensPerSecond, "F2"), .. rates, Number(GigabytesPerSecond, "F1"),
                    Number(GigabytesPerSecond / bandwidth, "F2"), Number(FirstToken.TotalMilliseconds, "F0"), times,
                ];
        }

        public JsonObject Json(double bandwidth)
        {
            var json = new JsonObject
            {
                ["name"] = Name,
                ["weight_bytes_per_token"] = BytesPerToken,
                ["tokens_per_second"] = Math.Round(TokensPerSecond, 3),
                ["best_tokens_per_second"] = Math.Round(BestTokensPerSecond, 3),
                ["times_as_it_is"] = Math.Round(TimesFloat, 3),
            };
            if (!IsPrefill)
            {
                json["gigabytes_per_second"] = Math.Round(GigabytesPerSecond, 3);
                json["share_of_read"] = Math.Round(GigabytesPerSecond / bandwidth, 3);
                json["first_token_seconds"] = Math.Round(FirstToken.TotalSeconds, 4);
                json["decode_path"] = $"{DecodePath}";
                json["model_bytes"] = ModelBytes;
                json["device_bytes_in_use"] = DeviceBytes;
            }

            return json;
        }

        private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
    }
}
