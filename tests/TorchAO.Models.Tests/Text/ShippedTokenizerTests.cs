using TorchAO.Checkpoints;
using TorchAO.Models.Evaluation;
using TorchAO.Models.Text;
using TorchAO.Tests;
using Xunit;

namespace TorchAO.Models.Tests.Text;

/// <summary>The tokenizers of the shipped models: two files each that must agree.</summary>
public sealed class ShippedTokenizerTests
{
    [Theory]
    [InlineData("stories260k/tok512", 512)]
    [InlineData("babyllama105/tok105", 105)]
    public void Both_files_of_a_model_give_the_same_ids(string name, int size)
    {
        Tokenizer sentencePiece = Tokenizer.Open(RepositoryFiles.Path($"assets/{name}.model"));
        Tokenizer llama2c = Tokenizer.Open(RepositoryFiles.Path($"assets/{name}.bin"));
        Assert.Equal(size, sentencePiece.VocabSize);
        Assert.Equal(size, llama2c.VocabSize);
        Assert.Equal(1, llama2c.BosTokenId);
        Assert.Equal([2], llama2c.EosTokenIds);

        // SentencePiece collapses doubled spaces and drops those at the ends, llama2.c keeps them.
        string[] lines = [.. Stories().Select(line => line.Trim()).Where(line => !line.Contains("  ", StringComparison.Ordinal))];
        Assert.True(lines.Length > 200);
        foreach (string line in lines)
        {
            Assert.Equal(llama2c.Encode(line), sentencePiece.Encode(line));
        }
    }

    [Fact]
    public void Known_ids()
    {
        Tokenizer tokenizer = Tokenizer.Open(RepositoryFiles.Path("assets/stories260k"));

        Assert.Equal([1, 403, 407, 261, 378], tokenizer.Encode("Once upon a time"));
        Assert.Equal([403, 407, 261, 378], tokenizer.Encode("Once upon a time", addBos: false));
    }

    [Theory]
    [InlineData("stories260k/tok512.model")]
    [InlineData("stories260k/tok512.bin")]
    public void What_is_encoded_comes_back_whole_or_token_by_token(string file)
    {
        Tokenizer tokenizer = Tokenizer.Open(RepositoryFiles.Path($"assets/{file}"));
        string text = "Once upon a time,\nZoë met 漢 and \U0001F600.";
        IReadOnlyList<int> ids = tokenizer.Encode(text);
        var decoder = new TokenDecoder(tokenizer);
        string[] pieces = [.. ids.Select(decoder.Add)];

        Assert.Equal(text, tokenizer.Decode(ids));
        Assert.Equal(text, string.Concat(pieces) + decoder.Flush());
        Assert.DoesNotContain(pieces, piece => piece.Contains('\uFFFD', StringComparison.Ordinal));
    }

    [Fact]
    public void A_character_that_is_cut_off_becomes_a_replacement()
    {
        Tokenizer tokenizer = Tokenizer.Open(RepositoryFiles.Path("assets/stories260k"));
        IReadOnlyList<int> ids = tokenizer.Encode("漢", addBos: false);

        Assert.Equal("\uFFFD", tokenizer.Decode(ids.SkipLast(1)));
    }

    [Fact]
    public void A_tokenizer_of_another_model_is_refused()
    {
        Tokenizer tokenizer = Tokenizer.Open(RepositoryFiles.Path("assets/stories260k"));

        var error = Assert.Throws<CheckpointException>(() => tokenizer.EnsureFits(105));

        Assert.Equal(CheckpointError.ShapeMismatch, error.Error);
        Assert.Contains("512 ids; expected at most 105", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_id_beyond_the_vocabulary_is_refused()
    {
        Tokenizer tokenizer = Tokenizer.Open(RepositoryFiles.Path("assets/babyllama105"));

        var error = Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([105]));

        Assert.Contains("0 to 104", error.Message, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Stories() => TextDocuments
        .Split(File.ReadAllText(RepositoryFiles.Path("assets/tinystories/tinystories_train_sample.txt")))
        .SelectMany(story => story.Split('\n'));
}
