using Xunit;

namespace TorchAO.Cli.Tests;

/// <summary>What the library says in the words of its classes, the command says in its own.</summary>
public sealed class CommandWordsTests
{
    [Theory]
    [InlineData("use a GroupSize of 32, or null for one scale a row", "use a group_size of 32, or none for one scale a row")]
    [InlineData("use a Granularity of PerGroup(32), or PerRow", "use a granularity of per_group(32), or per_row")]
    [InlineData("NarrowRange with MappingType Asymmetric, expected MappingType.Symmetric; leave NarrowRange off",
        "narrow_range with mapping_type Asymmetric, expected mapping_type=symmetric; leave narrow_range off")]
    [InlineData("module 'GroupSize' of LlamaForCausalLM in /home/GroupSize/x", "module 'GroupSize' of LlamaForCausalLM in /home/GroupSize/x")]
    [InlineData("Scale the weights", "Scale the weights")]
    public void Options_are_called_as_one_types_them(string said, string expected) => Assert.Equal(expected, CommandWords.Of(said));
}
