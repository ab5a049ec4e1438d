namespace TorchAO.Architecture.Tests.Docs;

/// <summary>One C# block of a page.</summary>
/// <param name="Text">The code between the fences.</param>
/// <param name="Line">The page's line on which the code begins.</param>
/// <param name="IsFragment">
/// <see langword="true"/> where the fence says <c>csharp fragment</c>: the block goes on from the blocks before it on the
/// same page. Any other block is a whole program.
/// </param>
internal sealed record Snippet(string Text, int Line, bool IsFragment);
