using TorchAO.Formats.UIntX.Kernels;
using Xunit;

namespace TorchAO.Tests.Formats.UIntX.Kernels;

public sealed unsafe class GroupShiftTests
{
    [Fact]
    public void Both_paths_agree_for_every_remainder()
    {
        for (int group = 1; group <= 150; group++)
        {
            var random = new Random(group);
            int length = 3 * group;
            sbyte[] expected = [.. Enumerable.Range(0, length).Select(_ => (sbyte)random.Next(-64, 64))];
            sbyte[] actual = [.. expected];
            sbyte[] offsets = [.. Enumerable.Range(0, 3).Select(_ => (sbyte)random.Next(-63, 64))];
            fixed (sbyte* want = expected, got = actual)
            {
                GroupShift.Scalar(want, length, group, offsets);
                GroupShift.Wide(got, length, group, offsets);
            }

            Assert.Equal(expected, actual);
        }
    }
}
