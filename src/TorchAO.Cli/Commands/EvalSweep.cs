using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectre.Console;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using TorchAO.Models.Evaluation;
using TorchAO.Models.Llama;

namespace TorchAO.Cli.Commands;

/// <summary>Scores a model, and the same codes in floating point.</summary>
internal delegate LanguageModelScore ScoreModel(
    string title, LlamaForCausalLM scored, LlamaForCausalLM? reference, TokenWindow[] windows, CancellationToken cancellation);

/// <summary><c>torchao eval --all</c>: one row a config.</summary>
/// <remarks>
/// Each config is scored twice: with the kernels that would run, and by libtorch's product over the dequantized weight. The
/// first row of numbers is what a user gets; the second tells errors of kernels from errors of rounding.
/// </remarks>
internal sealed class EvalSweep(ModelArguments model, Terminal terminal, ScoreModel score)
{
    /// <summary>The configs, in the order of the catalogue; a test holds the list to it.</summary>
    internal static readonly IReadOnlyList<string> Configs =
    [
        "half_weight_only",
        "half_weight_only(dtype=F16)",
        "int8_weight_only",
        "int8_weight_only(group_size=32)",
        "int8_dynamic_activation_int8_weight",
        "int8_dynamic_activation_int8_weight(act_mapping_type=asymmetric)",
        "int4_weight_only(group_size=32)",
        "int4_weight_only(group_size=32, use_hqq=true)",
        "int8_dynamic_activation_int4_weight(group_size=32)",
        "int4_dynamic_activation_int4_weight",
        "float8_weight_only",
        "float8_weight_only(weight_dtype=F8_E5M2)",
        "float8_dynamic_activation_float8_weight",
        "float8_dynamic_activation_float8_weight(granularity=per_row)",
        "uintx_weight_only(dtype=uint7, group_size=32)",
        "uintx_weight_only(dtype=uint6, group_size=32)",
        "uintx_weight_only(dtype=uint5, group_size=32)",
        "uintx_weight_only(dtype=uint4, group_size=32)",
        "uintx_weight_only(dtype=uint3, group_size=32)",
        "uintx_weight_only(dtype=uint2, group_size=32)",
        "uintx_weight_only(dtype=uint1, group_size=32)",
        "int8_dynamic_activation_intx_weight(weight_dtype=int3, granularity=per_group(32))",
        "fpx_weight_only(ebits=3, mbits=2)",
        "fpx_weight_only(ebits=2, mbits=3)",
        "fpx_weight_only(ebits=2, mbits=2)",
        "fpx_weight_only(ebits=2, mbits=1)",
        "nf4_weight_only(block_size=32)",
        "mx_weight_only(elem_dtype=float8_e4m3fn)",
        "mx_weight_only(elem_dtype=fp6_e3m2)",
        "mx_weight_only(elem_dtype=fp6_e2m3)",
        "mx_weight_only(elem_dtype=fp4_e2m1)",
        "bitnet_weight_only",
        "int8_dynamic_activation_bitnet_weight",
        "codebook_weight_only",
        "codebook_weight_only(dtype=uint8, block_size=4)",
    ];

    /// <summary>Scores every config and writes the table.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="reference">The float model.</param>
    /// <param name="exact">Its score.</param>
    /// <param name="windows">The text.</param>
    /// <param name="cancellation">Stops between two windows.</param>
    public void Run(
        ParseResult parsed, LlamaForCausalLM reference, LanguageModelScore exact, TokenWindow[] windows,
        CancellationToken cancellation)
    {
        var rows = new List<Row>();
        foreach (string text in Configs)
        {
            QuantizeConfig config = ConfigText.Parse(BuiltInFormats.Catalog, text);
            var recipe = new QuantizeRecipe(ModuleRules.All(config));
            using LoadedModel kernels = model.Load(parsed, recipe, terminal, cancellation);
            LanguageModelScore measured = score(text, kernels.Model, reference, windows, cancellation);
            using LoadedModel plain = model.Load(parsed, recipe, terminal, cancellation, kernel: QuantizeOptions.ReferenceKernel);
            rows.Add(new Row(text, kernels.Report!, measured, score($"{text}, dequantized", plain.Model, null, windows, cancellation)));
        }

        Write(parsed, exact, rows);
    }

    private void Write(ParseResult parsed, LanguageModelScore exact, List<Row> rows)
    {
        if (terminal.IsJson)
        {
            terminal.WriteJson(new JsonObject
            {
                ["model"] = model.Path(parsed),
                ["score"] = EvalCommand.Json(exact),
                ["configs"] = new JsonArray([.. rows.Select(row => row.Json())]),
            });
            return;
        }

        // In a file or a pipe the table is Markdown, ready for a page.
        if (!terminal.IsLive)
        {
            terminal.Screen.Profile.Width = 240; // a wrapped row is no row of Markdown
        }

        Table table = new Table().Border(terminal.IsLive ? TableBorder.Simple : TableBorder.Markdown);
        table.AddColumn(new TableColumn("config").NoWrap());
        foreach (string title in new[]
        {
            "layers", "linear weights", "perplexity", "against float, %", "dequantized", "difference, %", "mean KL, nats", "same token, %",
        })
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        table.AddRow(
            "float", string.Empty, Sizes.Bytes(rows[0].Report.BytesBefore), EvalCommand.Number(exact.Perplexity, "F4"), string.Empty,
            string.Empty, string.Empty, string.Empty, string.Empty);
        foreach (Row row in rows)
        {
            table.AddRow(
                row.Config,
                string.Create(CultureInfo.InvariantCulture, $"{row.Report.Quantized.Count()} of {row.Report.Layers.Count}"),
                Sizes.Bytes(row.Report.BytesAfter),
                EvalCommand.Number(row.Score.Perplexity, "F4"),
                EvalCommand.Number(100 * ((row.Score.Perplexity / exact.Perplexity) - 1), "F2"),
                EvalCommand.Number(row.Dequantized.Perplexity, "F4"),
                EvalCommand.Number(row.DifferencePercent, "F3"),
                EvalCommand.Number(row.Score.Divergence!.Mean, "F5"),
                EvalCommand.Number(100 * row.Score.Divergence.Agreement, "F2"));
        }

        terminal.Screen.Write(table);
    }

    /// <summary>A config's scores.</summary>
    /// <param name="Config">The config as text.</param>
    /// <param name="Report">What became of each layer.</param>
    /// <param name="Score">With the kernels that would run, against the float model.</param>
    /// <param name="Dequantized">The same codes multiplied by libtorch in floating point.</param>
    private sealed record Row(string Config, QuantizeReport Report, LanguageModelScore Score, LanguageModelScore Dequantized)
    {
        public double DifferencePercent => 100 * ((Score.Perplexity / Dequantized.Perplexity) - 1);

        public JsonObject Json() => new()
        {
            ["config"] = Config,
            ["layers"] = Report.Layers.Count,
            ["quantized_layers"] = Report.Quantized.Count(),
            ["linear_bytes"] = Report.BytesAfter,
            ["score"] = EvalCommand.Json(Score),
            ["dequantized"] = EvalCommand.Json(Dequantized),
            ["difference_percent"] = DifferencePercent,
        };
    }
}
