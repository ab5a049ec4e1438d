using System.Text.Json.Nodes;
using Xunit;

namespace TorchAO.Cli.Tests;

/// <summary>Errors are one line that says what to do, with the exit code of their kind; never a stack trace.</summary>
public sealed class MisuseTests
{
    [Theory]
    [InlineData("", 2, "torchao without a command, expected quantize, explain, autoquant, generate, chat, eval, bench, info or configs")]
    [InlineData("explain", 1, "--quantize")]
    [InlineData("explain --quantize intwo", 1, "near: 'int4wo', 'int8wo', 'intxwo'")]
    [InlineData("explain --quantize int4wo-48", 0, "warning: 0 of 35 layers would be quantized")]
    [InlineData("generate --quantize int4wo-48", 1, "30 layers (model.layers.0.self_attn.q_proj, model.layers.0.self_attn.k_proj, model.layers.0.self_attn.v_proj, …): in_features 64 is not")]
    [InlineData("generate --quantize int4wo-48", 1, "use a group_size of 32, or none for one scale a row")]
    [InlineData("explain --quantize int5wo", 1, "int5wo")]
    [InlineData("explain --quantize mx_weight_only(elem_dtype=fp6)", 1, "expected float8_e4m3fn or float8_e5m2 or fp6_e3m2")]
    [InlineData("explain --quantize int4wo-32(", 1, "not closed")]
    [InlineData("explain --quantize int4wo(group_sise=32)", 1, "group_sise")]
    [InlineData("explain --quantize int8wo --rule nothing*=int4wo", 1, "nothing*")]
    [InlineData("explain --quantize int8wo --rule down_proj", 1, "pattern=config")]
    [InlineData("explain --recipe /nowhere.json", 1, "/nowhere.json")]
    [InlineData("autoquant --candidates int9", 1, "int9")]
    [InlineData("autoquant --output /nowhere/recipe.json", 1, "--output /nowhere/recipe.json")]
    [InlineData("autoquant --within -1", 2, "TieMargin is -1")]
    [InlineData("autoquant --prompt-tokens 0 --max-tokens 0", 1, "at least one token")]
    [InlineData("autoquant --cache /proc/version", 1, "/proc/version, line 1")]
    [InlineData("eval --all --quantize int8wo", 1, "--all with --quantize")]
    [InlineData("generate --skip lm_head", 1, "nothing would be quantized")]
    [InlineData("generate --model /nowhere", 1, "/nowhere")]
    [InlineData("generate --tokenizer /nowhere", 1, "/nowhere")]
    [InlineData("generate --device tpu", 2, "--device tpu")]
    [InlineData("generate --device cuda:x", 2, "--device cuda:x")]
    [InlineData("generate --temperature -1", 2, "Temperature is -1")]
    [InlineData("generate --top-p 0", 2, "TopP is 0")]
    [InlineData("generate --max-tokens many", 2, "many")]
    [InlineData("generate --dtype int3", 2, "int3")]
    [InlineData("chat --system hello", 2, "no chat template")]
    [InlineData("eval --text nowhere.txt", 1, "nowhere.txt")]
    [InlineData("quantize --quantize int8wo", 2, "--output")]
    [InlineData("quantize --quantize int8wo --output /nowhere/small", 1, "/nowhere")]
    [InlineData("bench", 2, "torchao bench without a command, expected kernels, decode or prefill")]
    [InlineData("bench kernels --shape 32x100 --rows 1 --rounds 1 --quantize int4wo-32", 1, "nothing was measured: int4wo-32: in_features 100")]
    [InlineData("bench kernels --shape 4096", 2, "two sizes")]
    [InlineData("bench kernels --shape 0x32", 2, "two sizes")]
    [InlineData("bench kernels --rows 1,x", 2, "counts such as")]
    [InlineData("bench kernels --rounds 0", 2, "--rounds 0")]
    [InlineData("bench kernels --quantize int5wo", 1, "int5wo")]
    [InlineData("bench kernels --all --quantize int8wo", 2, "--all with --quantize")]
    [InlineData("bench decode --shape 9b", 2, "'9b'")]
    [InlineData("bench decode --shape 15m --model stories", 2, "--shape 15m with --model")]
    [InlineData("bench decode --max-tokens 0", 2, "--max-tokens 0")]
    [InlineData("bench prefill --prompt-tokens 600", 2, "at most 512 together")]
    [InlineData("info /nowhere", 1, "/nowhere")]
    [InlineData("info --model /nowhere", 1, "/nowhere: a model needs a file that is not there: got no such file or folder")]
    [InlineData("info /nowhere --model /nowhere", 2, "expected one model")]
    [InlineData("info /nowhere/model.safetensors", 1, "no such file or folder")]
    [InlineData("nonsense", 2, "nonsense")]
    public void A_mistake_is_told_on_one_line(string line, int code, string said)
    {
        var terminal = new TestTerminal();

        Assert.Equal(code, terminal.Run(line, "hello\n"));

        Assert.Contains(said, terminal.Err, StringComparison.Ordinal);
        Assert.All(terminal.Err.TrimEnd().Split('\n'), text => Assert.StartsWith("torchao: ", text, StringComparison.Ordinal));
        Assert.DoesNotContain("   at ", terminal.Err, StringComparison.Ordinal);
    }

    [Fact]
    public void An_error_in_json_names_its_kind()
    {
        var terminal = new TestTerminal();

        Assert.Equal(ExitCode.Failure, terminal.Run("explain --quantize int5wo --json"));

        JsonNode error = JsonNode.Parse(terminal.Err)!;
        Assert.Equal("QuantizationException", error["error"]!.GetValue<string>());
        Assert.Contains("int5wo", error["message"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.Empty(terminal.Out);
    }

    [Fact]
    public void A_text_that_does_not_fit_the_context_is_told_and_the_conversation_goes_on()
    {
        var terminal = new TestTerminal();

        Assert.Equal(ExitCode.Success, terminal.Run("chat --max-tokens 2 --json", $"{string.Concat(Enumerable.Repeat("a b c ", 300))}\nOnce\n"));

        Assert.Contains("at most 512", terminal.Err, StringComparison.Ordinal);
        Assert.Contains("\"new_tokens\":2", terminal.Out, StringComparison.Ordinal);
    }
}
