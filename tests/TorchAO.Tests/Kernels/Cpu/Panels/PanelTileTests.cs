using System.Runtime.InteropServices;
using TorchAO.Kernels.Cpu.Emitted;
using TorchAO.Kernels.Cpu.Panels;
using Xunit;

namespace TorchAO.Tests.Kernels.Cpu.Panels;

/// <summary>The scalar definition, the twin in intrinsics and the code made at run time, on random operands that end at a page's end.</summary>
public sealed unsafe class PanelTileTests
{
    public static TheoryData<int, bool, bool> Variants()
    {
        var data = new TheoryData<int, bool, bool>();
        for (int rows = 1; rows <= PanelTile.MaxRows; rows++)
        {
            data.Add(rows, false, false);
            data.Add(rows, true, false);
            data.Add(rows, false, true);
            data.Add(rows, true, true);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void The_twin_agrees_bit_for_bit(int rows, bool scaled, bool zeros)
    {
        foreach ((int blocks, int quads) in new[] { (1, 2), (3, 8), (2, 32), (5, 6) })
        {
            Assert.Equal(Run(PanelTileKernel.Scalar, rows, scaled, zeros, blocks, quads), Run(PanelTileKernel.Wide, rows, scaled, zeros, blocks, quads));
        }
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void The_emitted_code_agrees_bit_for_bit(int rows, bool scaled, bool zeros)
    {
        Assert.SkipUnless(EmittedCode.HasByteProducts, EmittedCode.ByteProductsUnavailable ?? string.Empty);
        foreach ((int blocks, int quads) in new[] { (1, 2), (3, 8), (2, 32), (5, 6) })
        {
            Assert.Equal(
                Run(PanelTileKernel.Scalar, rows, scaled, zeros, blocks, quads),
                Run((tile, count) => PanelTileCode.For(count, scaled, zeros)(tile), rows, scaled, zeros, blocks, quads));
        }
    }

    [Fact]
    public void Extreme_codes_do_not_saturate()
    {
        const int Quads = 128; // 512 codes: the longest block
        byte[] panel = new byte[Quads * PanelTile.Columns * 4];
        sbyte[] x = new sbyte[Quads * 4];
        Array.Fill(panel, byte.MaxValue);
        Array.Fill(x, sbyte.MinValue);
        float[] scales = [.. Enumerable.Repeat(1f, PanelTile.Columns)];
        float[] expected = [.. Enumerable.Repeat(255f * -128 * 4 * Quads, PanelTile.Columns)];
        foreach (Kernel kernel in new Kernel[] { PanelTileKernel.Scalar, PanelTileKernel.Wide, PanelTileKernel.Best })
        {
            float[] c = new float[PanelTile.Columns];
            int initial = 0;
            fixed (byte* p = panel)
            fixed (sbyte* xs = x)
            fixed (float* s = scales, result = c)
            {
                byte* aligned = (byte*)NativeMemory.AlignedAlloc((nuint)panel.Length, 64);
                panel.CopyTo(new Span<byte>(aligned, panel.Length));
                var tile = new PanelTile { X = xs, Panel = aligned, Scales = s, Initial = &initial, C = result, Blocks = 1, Quads = Quads };
                kernel(&tile, 1);
                NativeMemory.AlignedFree(aligned);
            }

            Assert.Equal(expected, c);
        }
    }

    private static float[] Run(Kernel kernel, int rows, bool scaled, bool zeros, int blocks, int quads)
    {
        var random = new Random((rows * 100) + quads);
        byte[] x = new byte[blocks * quads * rows * 4], panel = new byte[blocks * quads * PanelTile.Columns * 4];
        random.NextBytes(x);
        random.NextBytes(panel);
        byte[] scales = Floats(random, blocks * PanelTile.Columns), xScales = Floats(random, blocks * rows);
        byte[] sums = Floats(random, blocks * rows), zeroPoints = Floats(random, blocks * PanelTile.Columns);
        byte[] initial = [.. Enumerable.Range(0, blocks * rows).SelectMany(_ => BitConverter.GetBytes(random.Next(-9999, 9999)))];
        byte[] c = Floats(random, rows * PanelTile.Columns);
        using var operands = new GuardedOperands(x, panel, scales, xScales, initial, sums, zeroPoints, c);
        var tile = new PanelTile
        {
            X = (sbyte*)operands[0],
            Panel = (byte*)operands[1],
            Scales = (float*)operands[2],
            XScales = scaled ? (float*)operands[3] : null,
            Initial = (int*)operands[4],
            Sums = (float*)operands[5],
            Zeros = zeros ? (float*)operands[6] : null,
            C = (float*)operands[7],
            Blocks = blocks,
            Quads = quads,
        };
        kernel(&tile, rows);
        return new ReadOnlySpan<float>((float*)operands[7], rows * PanelTile.Columns).ToArray();
    }

    private static byte[] Floats(Random random, int count) =>
        [.. Enumerable.Range(0, count).SelectMany(_ => BitConverter.GetBytes((float)(random.NextDouble() - 0.5)))];

    private delegate void Kernel(PanelTile* tile, int rows);
}
