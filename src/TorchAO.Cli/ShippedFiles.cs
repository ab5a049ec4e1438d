namespace TorchAO.Cli;

/// <summary>The model and the corpus that come with the program, so that every command works without a download.</summary>
internal static class ShippedFiles
{
    /// <summary>Gets the folder of a language model of 260,032 parameters that tells stories.</summary>
    public static string StoryModel => Find("stories260k");

    /// <summary>Gets a corpus of stories, separated by <c>&lt;|endoftext|&gt;</c>.</summary>
    public static string Stories => Find(Path.Combine("tinystories", "tinystories_train_sample.txt"));

    private static string Find(string name) => Path.Combine(AppContext.BaseDirectory, "assets", name);
}
