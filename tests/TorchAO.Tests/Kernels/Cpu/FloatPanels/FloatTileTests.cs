using System.Runtime.InteropServices;
using TorchAO.Kernels.Cpu.Emitted;
using TorchAO.Kernels.Cpu.FloatPanels;
using Xunit;

namespace TorchAO.Tests.Kernels.Cpu.FloatPanels;

/// <summary>The definition, the twin in intrinsics and the emitted code, on operands that end where a page without access begins.</summary>
public sealed unsafe class FloatTileTests
{
    public static TheoryData<int, int> Sizes()
    {
        var data = new TheoryData<int, int>();
        for (int rows = 1; rows <= FloatTile.MaxRows; rows++)
        {
            data.Add(rows, 1);
            data.Add(rows, 37);
            data.Add(rows, FloatPanelProduct.PieceLength);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void The_twin_agrees_bit_for_bit(int rows, int count) =>
        Assert.Equal(Run(FloatTileKernel.Scalar, rows, count), Run(FloatTileKernel.Wide, rows, count));

    [Theory]
    [MemberData(nameof(Sizes))]
    public void The_emitted_code_agrees_bit_for_bit(int rows, int count)
    {
        Assert.SkipUnless(EmittedCode.IsAvailable, EmittedCode.Unavailable ?? string.Empty);
        Assert.Equal(Run(FloatTileKernel.Scalar, rows, count), Run(FloatTileKernel.Emitted, rows, count));
    }

    private static float[] Run(Kernel kernel, int rows, int count)
    {
        var random = new Random((rows * 1000) + count);
        using var operands = new GuardedOperands(
            Floats(random, count * rows), Floats(random, count * FloatTile.Columns), Floats(random, rows * FloatTile.Columns));
        var tile = new FloatTile { X = (float*)operands[0], Panel = (float*)operands[1], C = (float*)operands[2], Count = count };
        kernel(&tile, rows);
        return new ReadOnlySpan<float>(tile.C, rows * FloatTile.Columns).ToArray();
    }

    private static byte[] Floats(Random random, int count)
    {
        float[] values = [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
        return MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
    }

    private delegate void Kernel(FloatTile* tile, int rows);
}
