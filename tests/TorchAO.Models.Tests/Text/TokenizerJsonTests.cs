using System.Text.Json.Nodes;
using TorchAO.Checkpoints;
using TorchAO.Models.Text;
using Xunit;

namespace TorchAO.Models.Tests.Text;

/// <summary>Small files of both kinds of byte pair encoding, with ids worked out by hand.</summary>
public sealed class TokenizerJsonTests
{
    // As Llama 3 writes it: byte-level, a pattern of its own, whole words before merges, a template with the beginning.
    private const string ByteLevel = """
        {
          "added_tokens": [
            {"id": 20, "content": "<|begin|>", "special": true},
            {"id": 21, "content": "<|end|>", "special": true},
            {"id": 22, "content": "<think>", "special": false}
          ],
          "normalizer": {"type": "NFC"},
          "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+|\\s+"},
             "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]},
          "post_processor": {"type": "Sequence", "processors": [
            {"type": "ByteLevel"},
            {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|begin|>"}}, {"Sequence": {"id": "A"}}]}]},
          "decoder": {"type": "ByteLevel"},
          "model": {"type": "BPE", "ignore_merges": true,
            "vocab": {"h": 0, "e": 1, "l": 2, "o": 3, "Ġ": 4, "w": 5, "he": 6, "ll": 7, "hell": 8, "Ġw": 9, "Ġworld": 10, "Ã": 11, "©": 12,
                      "hello": 13},
            "merges": ["h e", "l l", ["he", "ll"], "Ġ w"]}
        }
        """;

    // As Llama 2 writes it: spaces marked by the normalizer, bytes where a character is unknown.
    private const string Marked = """
        {
          "added_tokens": [{"id": 0, "content": "<unk>", "special": true}, {"id": 1, "content": "<s>", "special": true}],
          "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
          "pre_tokenizer": null,
          "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]},
          "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
          "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>", "fuse_unk": true,
            "vocab": {"<unk>": 0, "<s>": 1, "<0xC3>": 2, "<0xA9>": 3, "▁": 4, "a": 5, "b": 6, "▁a": 7, "ab": 8},
            "merges": ["▁ a", "a b"]}
        }
        """;

    [Theory]
    [InlineData("hello", new[] { 20, 13 })]
    [InlineData("hell", new[] { 20, 8 })]
    [InlineData("hello world", new[] { 20, 13, 10 })]
    [InlineData("hell wo", new[] { 20, 8, 9, 3 })]
    [InlineData("é", new[] { 20, 11, 12 })]
    [InlineData("e\u0301", new[] { 20, 11, 12 })]
    [InlineData("hell<|end|>hell", new[] { 20, 8, 21, 8 })]
    public void Byte_level_ids(string text, int[] expected) => Assert.Equal(expected, Open(ByteLevel).Encode(text));

    [Fact]
    public void Byte_level_text_comes_back_without_control_tokens()
    {
        Tokenizer tokenizer = Open(ByteLevel);

        Assert.Equal("hello world<think>é", tokenizer.Decode(tokenizer.Encode("hello world<|end|><think>é")));
        Assert.Equal(23, tokenizer.VocabSize);
        Assert.Equal(20, tokenizer.BosTokenId);
    }

    [Theory]
    [InlineData("ab", new[] { 1, 7, 6 })]
    [InlineData("a ab", new[] { 1, 7, 7, 6 })]
    [InlineData("bab", new[] { 1, 4, 6, 8 })]
    [InlineData("é", new[] { 1, 4, 2, 3 })]
    [InlineData("漢漢", new[] { 1, 4, 0 })]
    public void Marked_ids(string text, int[] expected) => Assert.Equal(expected, Open(Marked).Encode(text));

    [Fact]
    public void Marked_text_loses_the_space_that_was_put_before_it()
    {
        Tokenizer tokenizer = Open(Marked);

        Assert.Equal("a ab é", tokenizer.Decode(tokenizer.Encode("a ab é")));
    }

    [Theory]
    [InlineData("pre_tokenizer", """{"type": "Whitespace"}""", "Whitespace")]
    [InlineData("normalizer", """{"type": "Lowercase"}""", "Lowercase")]
    [InlineData("decoder", """{"type": "WordPiece"}""", "WordPiece")]
    [InlineData("post_processor", """{"type": "BertProcessing"}""", "BertProcessing")]
    [InlineData("model", """{"type": "WordPiece", "vocab": {}, "merges": []}""", "WordPiece")]
    [InlineData("model", """{"type": "BPE", "dropout": 0.1, "vocab": {}, "merges": []}""", "dropout")]
    public void A_step_that_is_not_done_here_is_named(string field, string value, string said)
    {
        CheckpointException error = Refuse(root => root[field] = JsonNode.Parse(value));

        Assert.Equal(CheckpointError.UnsupportedTokenizer, error.Error);
        Assert.Contains(said, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_merge_of_unknown_tokens_is_refused()
    {
        CheckpointException error = Refuse(root => root["model"]!["merges"] = new JsonArray("h q"));

        Assert.Equal(CheckpointError.InvalidTokenizer, error.Error);
        Assert.Contains("\"q\"", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_text_that_is_no_json_is_refused()
    {
        using var folder = new TemporaryFolder();
        string path = System.IO.Path.Combine(folder.Path, "tokenizer.json");
        File.WriteAllText(path, "{");

        Assert.Equal(CheckpointError.InvalidJson, Assert.Throws<CheckpointException>(() => Tokenizer.Open(path)).Error);
    }

    [Fact]
    public void The_pair_of_files_of_gpt2_gives_its_ids()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(System.IO.Path.Combine(folder.Path, "vocab.json"), """{"h": 0, "i": 1, "Ġ": 2, "hi": 3, "Ġhi": 4, "<|endoftext|>": 5}""");
        File.WriteAllText(System.IO.Path.Combine(folder.Path, "merges.txt"), "#version: 0.2\nh i\nĠ hi\n");
        Tokenizer tokenizer = Tokenizer.Open(folder.Path);

        Assert.Equal([3, 4, 5, 3], tokenizer.Encode("hi hi<|endoftext|>hi"));
        Assert.Equal([5], tokenizer.EosTokenIds);
    }

    private static CheckpointException Refuse(Action<JsonObject> change)
    {
        var root = (JsonObject)JsonNode.Parse(ByteLevel)!;
        change(root);
        return Assert.Throws<CheckpointException>(() => Open(root.ToJsonString()));
    }

    private static Tokenizer Open(string json)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(System.IO.Path.Combine(folder.Path, "tokenizer.json"), json);
        return Tokenizer.Open(folder.Path);
    }
}
