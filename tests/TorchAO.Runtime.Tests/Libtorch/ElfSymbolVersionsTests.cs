using TorchAO.Runtime.Libtorch;
using Xunit;

namespace TorchAO.Runtime.Tests.Libtorch;

public sealed class ElfSymbolVersionsTests
{
    [Fact]
    public void The_test_image_hashes_as_the_standard_says() => Assert.Equal(0x077905a6u, ElfImage.Hash("printf"));

    [Fact]
    public void The_missing_version_becomes_weak_and_nothing_else_changes()
    {
        byte[] elf = ElfImage.Create(relocatedSymbol: 2, out int flagsAt);
        byte[] expected = [.. elf];
        expected[flagsAt] = 2;
        ElfSymbolVersions.MarkWeak(elf, ElfImage.Library, [ElfImage.Missing]);
        Assert.Equal(expected, elf);
    }

    [Fact]
    public void A_version_that_a_relocation_uses_is_refused_and_left_alone()
    {
        byte[] elf = ElfImage.Create(relocatedSymbol: 1, out _);
        byte[] original = [.. elf];
        NotSupportedException error = Assert.Throws<NotSupportedException>(
            () => ElfSymbolVersions.MarkWeak(elf, ElfImage.Library, [ElfImage.Missing]));
        Assert.Contains(ElfImage.Missing, error.Message, StringComparison.Ordinal);
        Assert.Equal(original, elf);
    }

    [Theory]
    [InlineData(ElfImage.Library, "GLIBCXX_9.9.9")]
    [InlineData("libc.so.6", ElfImage.Missing)]
    public void A_version_that_the_file_does_not_require_is_refused(string library, string version)
    {
        byte[] elf = ElfImage.Create(relocatedSymbol: 2, out _);
        Assert.Throws<BadImageFormatException>(() => ElfSymbolVersions.MarkWeak(elf, library, [version]));
    }

    [Fact]
    public void Every_shorter_file_is_refused()
    {
        byte[] elf = ElfImage.Create(relocatedSymbol: 2, out _);
        for (int length = 0; length < elf.Length; length++)
        {
            byte[] shorter = elf[..length];
            Assert.Throws<BadImageFormatException>(
                () => ElfSymbolVersions.MarkWeak(shorter, ElfImage.Library, [ElfImage.Missing]));
        }
    }

    [Fact]
    public void A_damaged_file_is_refused_or_changed_in_its_flags_only()
    {
        byte[] elf = ElfImage.Create(relocatedSymbol: 2, out _);
        byte[] damages = [0x00, 0x01, 0x7f, 0x80, 0xff];
        for (int at = 0; at < elf.Length; at++)
        {
            foreach (byte damage in damages)
            {
                byte[] damaged = [.. elf];
                damaged[at] = damage;
                byte[] before = [.. damaged];
                try
                {
                    ElfSymbolVersions.MarkWeak(damaged, ElfImage.Library, [ElfImage.Missing]);
                }
                catch (Exception e) when (e is BadImageFormatException or NotSupportedException)
                {
                    continue;
                }

                int changed = before.Zip(damaged).Count(pair => pair.First != pair.Second);
                Assert.True(changed <= 1, $"byte {at} = {damage:x2}: {changed} bytes changed");
            }
        }
    }

    [Fact]
    public void TorchSharps_own_library_changes_in_one_byte()
    {
        string? path = NativeLoader.Report?.TorchSharpLibrary;
        Assert.SkipWhen(path is null, "TorchSharp's library is patched on Linux x86-64 only");
        byte[] original = File.ReadAllBytes(path);
        byte[] relaxed = [.. original];
        ElfSymbolVersions.MarkWeak(relaxed, ElfImage.Library, [ElfImage.Missing]);
        Assert.Equal(1, original.Zip(relaxed).Count(pair => pair.First != pair.Second));
    }
}
