using TorchAO.Checkpoints;
using TorchAO.Models.Text;
using TorchAO.Tests;
using Xunit;

namespace TorchAO.Models.Tests.Text;

public sealed class TokenizerMisuseTests
{
    [Fact]
    public void A_folder_without_a_tokenizer_says_what_was_looked_for()
    {
        using var folder = new TemporaryFolder();

        var error = Assert.Throws<CheckpointException>(() => Tokenizer.Open(folder.Path));

        Assert.Equal(CheckpointError.MissingFile, error.Error);
        Assert.Contains("tokenizer.json, tokenizer.model", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nowhere/tok.bin", "no such file")]
    [InlineData("notes.txt", "notes.txt")]
    public void Another_file_is_refused(string name, string said)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(System.IO.Path.Combine(folder.Path, "notes.txt"), "hello");

        var error = Assert.Throws<CheckpointException>(() => Tokenizer.Open(System.IO.Path.Combine(folder.Path, name)));

        Assert.Contains(said, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(17)]
    [InlineData(1001)]
    public void A_vocabulary_that_is_cut_off_is_refused(int bytes)
    {
        CheckpointException error = Open("tok.bin", file => file[..bytes]);

        Assert.Equal(CheckpointError.FileTooShort, error.Error);
    }

    [Fact]
    public void A_vocabulary_with_a_length_that_makes_no_sense_is_refused()
    {
        CheckpointException error = Open("tok.bin", file =>
        {
            file[8] = file[9] = file[10] = file[11] = 0xFF;
            return file;
        });

        Assert.Equal(CheckpointError.InvalidTokenizer, error.Error);
        Assert.Contains("token 0", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(300)]
    public void A_sentence_piece_model_that_is_cut_off_is_refused(int bytes)
    {
        CheckpointException error = Open("tokenizer.model", file => file[..bytes], "tok512.model");

        Assert.Equal(CheckpointError.InvalidTokenizer, error.Error);
    }

    private static CheckpointException Open(string name, Func<byte[], byte[]> damage, string source = "tok512.bin")
    {
        using var folder = new TemporaryFolder();
        string path = System.IO.Path.Combine(folder.Path, name);
        File.WriteAllBytes(path, damage(File.ReadAllBytes(RepositoryFiles.Path($"assets/stories260k/{source}"))));
        var error = Assert.Throws<CheckpointException>(() => Tokenizer.Open(path));
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        return error;
    }
}
