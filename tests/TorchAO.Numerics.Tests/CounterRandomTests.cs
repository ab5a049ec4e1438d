using Xunit;

namespace TorchAO.Numerics.Tests;

public sealed class CounterRandomTests
{
    [Theory]
    [InlineData(0ul, 0ul, 0ul, 0x6627E8D5u, 0xE169C58Du, 0xBC57AC4Cu, 0x9B00DBD8u)]
    [InlineData(
        ulong.MaxValue, ulong.MaxValue, ulong.MaxValue, 0x408F276Du, 0x41C83B0Eu, 0xA20BC7C6u, 0x6D5451FDu)]
    [InlineData(
        0x299F31D0A4093822ul, 0x85A308D3243F6A88ul, 0x0370734413198A2Eul,
        0xD16CFE09u, 0x94FDCCEBu, 0x5001E420u, 0x24126EA1u)]
    public void Its_blocks_are_the_published_answers(
        ulong key, ulong low, ulong high, uint a, uint b, uint c, uint d) =>
        Assert.Equal((a, b, c, d), CounterRandom.Block(key, low, high));

    [Fact]
    public void Filling_gives_the_same_bits_as_asking_one_by_one()
    {
        CounterRandom random = new(seed: 123);
        for (int length = 0; length < 20; length++)
        {
            uint[] filled = new uint[length];
            random.Fill(index: 7, filled);
            for (int i = 0; i < length; i++)
            {
                Assert.Equal(random[(ulong)(7 + i)], filled[i]);
            }
        }
    }

    [Fact]
    public void Seeds_give_different_sequences() =>
        Assert.NotEqual(new CounterRandom(1)[0], new CounterRandom(2)[0]);
}
