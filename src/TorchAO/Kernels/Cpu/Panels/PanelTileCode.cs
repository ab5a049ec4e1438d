using Iced.Intel;
using TorchAO.Kernels.Cpu.Emitted;
using static Iced.Intel.AssemblerRegisters;

namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>Emits the product of <see cref="PanelTile"/> for a count of rows in AVX-512 VNNI.</summary>
/// <remarks>
/// Sums of a block and results of all blocks stay in registers: two vectors each a row. Four codes of an activation row are broadcast
/// once and meet two vectors of the panel, so that a row costs one load and two multiplications, and both units are busy. Measured for
/// seven rows on a Zen 5 core: 0.97 of the peak of its multipliers in blocks of 1024 codes, 0.93 in blocks of 128, 0.83 in blocks of
/// 32. Twice the rows with results in memory were 2 % faster in the longest blocks and a fifth slower in the shortest.
/// </remarks>
internal static class PanelTileCode
{
    private const int Results = 2 * PanelTile.MaxRows; // sums come first
    private const int PanelLow = 2 * Results;
    private const int Broadcast = PanelLow + 2;
    private const int ColumnBytes = PanelTile.Columns * 4;

    private static readonly nint[] functions = new nint[4 * (PanelTile.MaxRows + 1)];

    /// <summary>Gets the function for a tile, made at its first use; several threads may make it, to the same effect.</summary>
    /// <param name="rows">The rows of the tile.</param>
    /// <param name="scaled">Whether there are scales of activations.</param>
    /// <param name="zeros">Whether there are zero points.</param>
    public static unsafe delegate* unmanaged[SuppressGCTransition]<PanelTile*, void> For(int rows, bool scaled, bool zeros)
    {
        ref nint function = ref functions[(4 * rows) + (scaled ? 2 : 0) + (zeros ? 1 : 0)];
        if (Volatile.Read(ref function) == 0)
        {
            Volatile.Write(ref function, EmittedCode.Place(assembler => Write(assembler, rows, scaled, zeros)));
        }

        return (delegate* unmanaged[SuppressGCTransition]<PanelTile*, void>)function;
    }

    private static void Write(Assembler c, int rows, bool scaled, bool zeros)
    {
        AssemblerRegister64 x = rsi, panel = rdx, scales = rcx, xScales = r8, initial = r9, result = r10, blocks = r11, quads = rax;
        AssemblerRegister64 sums = rbx, zero = rbp;
        c.push(rbx);
        c.push(rbp);
        c.mov(x, Argument(0));
        c.mov(panel, Argument(1));
        c.mov(scales, Argument(2));
        c.mov(xScales, Argument(3));
        c.mov(initial, Argument(4));
        c.mov(sums, Argument(5));
        c.mov(zero, Argument(6));
        c.mov(result, Argument(7));
        c.mov(blocks, Argument(8));

        for (int i = 0; i < 2 * rows; i++)
        {
            c.vmovups(Vectors.Register(Results + i), __zmmword_ptr[result + (64 * i)]);
        }

        Label block = c.CreateLabel(), step = c.CreateLabel();
        c.Label(ref block);
        for (int m = 0; m < rows; m++)
        {
            c.vpbroadcastd(Vectors.Register(2 * m), __dword_ptr[initial + (4 * m)]);
            c.vmovdqa32(Vectors.Register((2 * m) + 1), Vectors.Register(2 * m));
        }

        c.mov(quads, Argument(9));
        c.Label(ref step);
        for (int quad = 0; quad < 2; quad++)
        {
            WriteQuad(c, rows, x + (4 * rows * quad), panel + (ColumnBytes * quad));
        }

        c.add(panel, 2 * ColumnBytes);
        c.add(x, 2 * 4 * rows);
        c.sub(quads, 2);
        c.jnz(step);

        for (int m = 0; m < rows; m++)
        {
            WriteResult(c, m, scales, scaled ? xScales + (4 * m) : null, zeros ? sums + (4 * m) : null, zero);
        }

        c.add(scales, ColumnBytes);
        c.add(zero, ColumnBytes);
        c.add(xScales, 4 * rows);
        c.add(initial, 4 * rows);
        c.add(sums, 4 * rows);
        c.dec(blocks);
        c.jnz(block);
        for (int i = 0; i < 2 * rows; i++)
        {
            c.vmovups(__zmmword_ptr[result + (64 * i)], Vectors.Register(Results + i));
        }

        c.pop(rbp);
        c.pop(rbx);
        c.vzeroupper();
        c.ret();
    }

    private static void WriteQuad(Assembler c, int rows, AssemblerMemoryOperand x, AssemblerMemoryOperand panel)
    {
        c.vmovdqa32(Vectors.Register(PanelLow), __zmmword_ptr[panel]);
        c.vmovdqa32(Vectors.Register(PanelLow + 1), __zmmword_ptr[panel + 64]);
        for (int m = 0; m < rows; m++)
        {
            AssemblerRegisterZMM codes = Vectors.Register(Broadcast + (m % 2));
            c.vpbroadcastd(codes, __dword_ptr[x + (4 * m)]);
            c.vpdpbusd(Vectors.Register(2 * m), Vectors.Register(PanelLow), codes);
            c.vpdpbusd(Vectors.Register((2 * m) + 1), Vectors.Register(PanelLow + 1), codes);
        }
    }

    private static void WriteResult(
        Assembler c,
        int m,
        AssemblerRegister64 scales,
        AssemblerMemoryOperand? xScale,
        AssemblerMemoryOperand? sum,
        AssemblerRegister64 zeros)
    {
        AssemblerRegisterZMM factor = Vectors.Register(Broadcast);
        if (sum is { } place)
        {
            c.vbroadcastss(factor, __dword_ptr[place]);
        }

        for (int half = 0; half < 2; half++)
        {
            AssemblerRegisterZMM value = Vectors.Register((2 * m) + half), result = Vectors.Register(Results + (2 * m) + half);
            c.vcvtdq2ps(value, value);
            if (xScale is { } scale)
            {
                c.vmulps(value, value, __dword_bcst[scale]);
            }

            if (sum is not null)
            {
                c.vfmadd231ps(result, factor, __zmmword_ptr[zeros + (64 * half)]);
            }

            c.vfmadd231ps(result, value, __zmmword_ptr[scales + (64 * half)]);
        }
    }

    private static AssemblerMemoryOperand Argument(int index) => __qword_ptr[rdi + (8 * index)];
}
