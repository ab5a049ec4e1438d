using System.Text.Json.Nodes;
using TorchAO.Cli.Commands;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using TorchAO.Runtime.Cuda;
using Xunit;

namespace TorchAO.Cli.Tests;

/// <summary>Each command on the shipped model, for people and for machines.</summary>
public sealed class CommandTests
{
    private const string Rules = "--quantize int4wo-32 --rule *down_proj=int8wo";

    [Fact]
    public void Explain_tells_format_kernel_and_reason_of_each_layer()
    {
        var terminal = new TestTerminal();

        Assert.Equal(ExitCode.Success, terminal.Run("explain --quantize int4wo-32"));

        Assert.Contains("int4.cpu.", terminal.Out, StringComparison.Ordinal);
        Assert.Contains(
            "5 layers: in_features 172 is not a multiple of the group size 32; no multiple of 32 that divides it has a fast kernel, so use a " +
            "group_size of none for one scale a row",
            terminal.Out, StringComparison.Ordinal);
        Assert.Empty(terminal.Err);
        Assert.Contains("30 of 35 linear layers quantized", terminal.Out, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', terminal.Out);
    }

    [Fact]
    public void Explain_that_would_quantize_nothing_warns_and_says_each_reason_once()
    {
        var terminal = new TestTerminal();

        Assert.Equal(ExitCode.Success, terminal.Run("explain --quantize int4wo-48"));

        Assert.Contains("0 of 35 layers would be quantized", terminal.Err, StringComparison.Ordinal);
        foreach (string text in new[] { terminal.Out, terminal.Err })
        {
            Assert.Equal(2, text.Split("in_features 64 is not a multiple").Length);
            Assert.DoesNotContain("GroupSize", text, StringComparison.Ordinal);
        }

        var json = new TestTerminal();
        json.Run("explain --quantize int4wo-48 --json");
        Assert.Equal("warning", (string)JsonNode.Parse(json.Err)!["error"]!);
        Assert.Equal(0, JsonNode.Parse(json.Out)!["coverage"]!.GetValue<double>());
    }

    [Fact]
    public void Configs_lists_every_config_with_a_name_that_quantize_takes()
    {
        JsonArray configs = Json("configs --json")["configs"]!.AsArray();

        Assert.Equal(BuiltInFormats.Catalog.Handlers.Select(handler => handler.ConfigName), configs.Select(config => (string)config!["name"]!));
        Assert.All(configs, config => Assert.Equal(
            (string)config!["name"]!, (string)ConfigText.ToJson(
                BuiltInFormats.Catalog, ConfigText.Parse(BuiltInFormats.Catalog, (string)config["shortest"]!))["config"]!));

        var terminal = new TestTerminal();
        Assert.Equal(ExitCode.Success, terminal.Run("configs"));
        Assert.Contains("int4wo-32 ", terminal.Out, StringComparison.Ordinal);
        Assert.Contains("elem_dtype=float8_e4m3fn", terminal.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("generate --max-tokens 1 --quantize int8wo", true)]
    [InlineData("generate --max-tokens 1", false)]
    [InlineData("bench decode --quantize int8wo --prompt-tokens 1 --max-tokens 1 --rounds 1", true)]
    [InlineData("bench decode --prompt-tokens 1 --max-tokens 1 --rounds 1", false)]
    public void A_small_quantized_model_shows_the_size_and_the_report_names_the_command_that_shows_speed(string line, bool isSaid)
    {
        var terminal = new TestTerminal();

        Assert.Equal(ExitCode.Success, terminal.Run(line));

        Assert.Equal(isSaid, terminal.Out.Contains("shows the size, not the speed", StringComparison.Ordinal));
        Assert.Equal(isSaid, terminal.Out.Contains("torchao bench decode --shape 110m", StringComparison.Ordinal));
    }

    [Fact]
    public void Explain_in_json_has_a_row_a_layer()
    {
        JsonNode report = Json("explain " + Rules + " --json");

        Assert.Equal(35, report["layers"]!.AsArray().Count);
        Assert.Equal("int8", report["layers"]!.AsArray().First(row => ((string)row!["name"]!).EndsWith("down_proj", StringComparison.Ordinal))!["format"]!.GetValue<string>());
        Assert.Equal(1, report["coverage"]!.GetValue<double>());
    }

    [Fact]
    public void Autoquant_writes_a_recipe_that_explain_reads()
    {
        string folder = Directory.CreateTempSubdirectory("torchao-").FullName;
        try
        {
            string recipe = Path.Combine(folder, "recipe.json");
            JsonNode report = Json($"autoquant --candidates int8wo --candidates weight-only --within 1000000 --prompt-tokens 3 --max-tokens 2 --output {recipe} --json");

            JsonNode first = report["layers"]![0]!;
            Assert.Equal([(1, 2), (3, 1)], first["calls"]!.AsArray().Select(call => ((int)call!["rows"]!, (int)call["count"]!)));
            Assert.Equal(AutoQuantCandidates.WeightOnly.Count + 1, first["timings"]!.AsArray().Count);
            JsonNode explained = Json($"explain --recipe {recipe} --json");
            Assert.All(report["layers"]!.AsArray(), layer => Assert.NotEqual("float", (string?)layer!["choice"]));
            Assert.Equal(
                report["layers"]!.AsArray().Count(layer => (string?)layer!["choice"] != "float"),
                explained["layers"]!.AsArray().Count(layer => (string?)layer!["outcome"] == "swapped"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Generate_tells_the_story_and_what_it_took()
    {
        var terminal = new TestTerminal();

        Assert.Equal(ExitCode.Success, terminal.Run("generate --max-tokens 12"));

        Assert.Contains("Once upon a time, there was a little girl", terminal.Out, StringComparison.Ordinal);
        Assert.Contains("12 tokens", terminal.Out, StringComparison.Ordinal);
        Assert.Contains("tok/s", terminal.Out, StringComparison.Ordinal);
        Assert.Contains("GB/s", terminal.Out, StringComparison.Ordinal);
        Assert.Contains("peak memory", terminal.Out, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', terminal.Out);
    }

    [Fact]
    public void Generate_in_json_gives_a_token_a_line_and_closes_with_numbers()
    {
        var terminal = new TestTerminal();

        Assert.Equal(ExitCode.Success, terminal.Run("generate " + Rules + " --max-tokens 5 --json"));

        JsonNode[] lines = [.. terminal.Out.Trim().Split('\n').Select(line => JsonNode.Parse(line)!)];
        Assert.Equal(6, lines.Length);
        Assert.All(lines[..5], line => Assert.NotNull(line["token"]));
        Assert.Equal("max_new_tokens", lines[5]["finish_reason"]!.GetValue<string>());
        Assert.Equal(260_032 * 4, lines[5]["model_bytes_before"]!.GetValue<long>());
        Assert.True(lines[5]["model_bytes"]!.GetValue<long>() < 330_000);
        Assert.True(lines[5]["tokens_per_second"]!.GetValue<double>() > 0);
    }

    [Fact]
    public void Chat_goes_on_where_it_was_and_leaves_at_the_end_of_input()
    {
        var terminal = new TestTerminal();

        Assert.Equal(ExitCode.Success, terminal.Run("chat --max-tokens 4 --json", "Once upon\n\na time\n/reset\nOnce upon\n"));

        JsonNode[] turns = [.. terminal.Out.Trim().Split('\n').Select(line => JsonNode.Parse(line)!).Where(line => line["new_tokens"] is not null)];
        Assert.Equal(3, turns.Length);
        Assert.Equal(turns[0]["conversation_tokens"]!.GetValue<int>(), turns[2]["conversation_tokens"]!.GetValue<int>());
        Assert.True(turns[1]["conversation_tokens"]!.GetValue<int>() > turns[0]["conversation_tokens"]!.GetValue<int>());
    }

    [Fact]
    public void Eval_compares_the_quantized_model_with_the_float_one()
    {
        JsonNode scores = Json("eval " + Rules + " --documents 3 --json");

        Assert.InRange(scores["score"]!["perplexity"]!.GetValue<double>(), 2, 8);
        Assert.InRange(scores["quantized"]!["kl_divergence"]!["mean"]!.GetValue<double>(), 1e-4, 0.5);

        var terminal = new TestTerminal();
        Assert.Equal(ExitCode.Success, terminal.Run("eval --documents 1"));
        Assert.Contains("perplexity", terminal.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Eval_of_all_configs_is_a_table_with_a_row_each()
    {
        JsonNode scores = Json("eval --all --documents 1 --json");
        JsonArray rows = scores["configs"]!.AsArray();

        Assert.Equal(EvalSweep.Configs, rows.Select(row => (string)row!["config"]!));
        Assert.All(rows, row => Assert.True(row!["quantized_layers"]!.GetValue<int>() > 0, row.ToJsonString()));

        // What the kernels give is what the same codes give in floating point. Rounded activations can fall on the other side of a
        // half when a sum is taken in another order, which one short document does not average out.
        Assert.All(rows, row => Assert.InRange(
            Math.Abs(row!["difference_percent"]!.GetValue<double>()),
            0, ((string)row["config"]!).Contains("_activation_", StringComparison.Ordinal) ? 4 : 0.01));

        HashSet<string> measured = [.. EvalSweep.Configs.Select(text => text.Split('(')[0])];
        Assert.Empty(BuiltInFormats.Catalog.Handlers.Select(handler => handler.ConfigName)
            .Except(measured).Except(["float8_static_activation_float8_weight", "gemlite_uintx_weight_only", "intx_weight_only"]));
    }

    [Fact]
    public void A_recipe_file_says_what_rules_on_the_line_say()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, """{ "rules": [{ "match": "*down_proj", "config": "int8wo" }, { "match": "*", "config": "int4wo-32" }] }""");
            Assert.Equal(
                Json("explain " + Rules + " --json").ToJsonString(), Json($"explain --recipe {path} --json").ToJsonString());
            var both = new TestTerminal();
            Assert.Equal(ExitCode.Failure, both.Run($"explain --recipe {path} --quantize int8wo"));
            Assert.Contains("one or the other", both.Err, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void The_embedding_table_is_quantized_on_request()
    {
        JsonNode report = Json("explain --quantize int8wo --embedding int8wo --json");

        Assert.Equal(36, report["layers"]!.AsArray().Count);
        Assert.Equal("model.embed_tokens", (string)report["layers"]!.AsArray()[0]!["name"]!);
    }

    [Fact]
    public void Info_shows_the_GPUs_or_why_there_is_none()
    {
        JsonNode facts = Json("info --json");
        Assert.Equal(CudaDevice.Count, facts["gpus"]!.AsArray().Count);
        Assert.Equal(CudaDevice.AbsenceReason, facts["no_gpu_because"]?.GetValue<string>());
        Assert.Equal(CudaDevice.Count > 0, facts["cuda_driver"] is not null);
    }

    [Fact]
    public void Info_describes_the_machine_and_a_model()
    {
        Assert.Contains("int4_weight_only", Json("info --json")["configs"]!.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(260_032, Json($"info {ShippedFiles.StoryModel} --json")["elements"]!.GetValue<long>());
        Assert.Equal(260_032, Json($"info --model {ShippedFiles.StoryModel} --json")["elements"]!.GetValue<long>());
        string file = Path.Combine(ShippedFiles.StoryModel, "model.safetensors");
        Assert.Equal(260_032, Json($"info {file} --json")["elements"]!.GetValue<long>());
    }

    [Fact]
    public void Quantize_makes_a_folder_that_the_other_commands_take()
    {
        string folder = Directory.CreateTempSubdirectory("torchao-cli-").FullName;
        string target = Path.Combine(folder, "small");
        try
        {
            var terminal = new TestTerminal();
            Assert.Equal(ExitCode.Success, terminal.Run($"quantize {Rules} --output {target}"));
            Assert.Contains("times smaller", terminal.Out, StringComparison.Ordinal);
            Assert.Contains($"torchao generate --model {target}", terminal.Out, StringComparison.Ordinal);

            JsonNode facts = Json($"info {target} --json");
            Assert.Equal(35, facts["quantized_weights"]!.GetValue<int>());
            Assert.True(facts["verified_by_probe"]!.GetValue<bool>());

            var saved = new TestTerminal();
            var direct = new TestTerminal();
            saved.Run($"generate --model {target} --max-tokens 20 --json");
            direct.Run($"generate {Rules} --max-tokens 20 --json");
            Assert.Equal(Tokens(direct), Tokens(saved));

            var again = new TestTerminal();
            Assert.Equal(ExitCode.Failure, again.Run($"quantize {Rules} --output {target}"));
            Assert.Contains("--force", again.Err, StringComparison.Ordinal);
            Assert.Equal(ExitCode.Success, new TestTerminal().Run($"quantize --quantize int8wo --output {target} --force --json"));
            Assert.Single(Directory.GetFileSystemEntries(folder));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string[] Tokens(TestTerminal terminal) =>
        [.. terminal.Out.Split('\n').Where(line => line.Contains("\"token\"", StringComparison.Ordinal))];

    private static JsonNode Json(string line)
    {
        var terminal = new TestTerminal();
        Assert.True(terminal.Run(line) == ExitCode.Success, terminal.Err);
        return JsonNode.Parse(terminal.Out)!;
    }
}
