using System.Runtime.Intrinsics;
using Iced.Intel;
using TorchAO.Kernels.Cpu.Emitted;
using static Iced.Intel.AssemblerRegisters;

namespace TorchAO.Kernels.Cpu.FloatPanels;

/// <summary>The product of <see cref="FloatTile"/>: code made at run time, whose sums all stay in registers, and its twins.</summary>
/// <remarks>All add in the same order and agree bit for bit. A compiler's registers do not hold 28 sums; the twin takes one row at a time.</remarks>
internal static unsafe class FloatTileKernel
{
    private const int Panel = 2 * FloatTile.MaxRows; // registers behind the sums
    private const int ColumnBytes = FloatTile.Columns * sizeof(float);

    private static readonly nint[] functions = new nint[FloatTile.MaxRows + 1];

    /// <summary>Computes with the fastest path of this process.</summary>
    /// <param name="tile">The operands.</param>
    /// <param name="rows">Activation rows, at most <see cref="FloatTile.MaxRows"/>.</param>
    public static void Best(FloatTile* tile, int rows)
    {
        if (EmittedCode.IsAvailable)
        {
            Emitted(tile, rows);
        }
        else
        {
            Wide(tile, rows);
        }
    }

    /// <summary>The reference: the definition, one element at a time.</summary>
    internal static void Scalar(FloatTile* tile, int rows)
    {
        for (int m = 0; m < rows; m++)
        {
            for (int n = 0; n < FloatTile.Columns; n++)
            {
                float sum = tile->C[(m * FloatTile.Columns) + n];
                for (long k = 0; k < tile->Count; k++)
                {
                    sum = MathF.FusedMultiplyAdd(tile->X[(k * rows) + m], tile->Panel[(k * FloatTile.Columns) + n], sum);
                }

                tile->C[(m * FloatTile.Columns) + n] = sum;
            }
        }
    }

    /// <summary>The twin in intrinsics.</summary>
    internal static void Wide(FloatTile* tile, int rows)
    {
        for (int m = 0; m < rows; m++)
        {
            float* c = tile->C + (m * FloatTile.Columns), panel = tile->Panel, x = tile->X + m;
            Vector256<float> s0 = Vector256.Load(c), s1 = Vector256.Load(c + 8), s2 = Vector256.Load(c + 16), s3 = Vector256.Load(c + 24);
            for (long k = 0; k < tile->Count; k++, panel += FloatTile.Columns, x += rows)
            {
                var value = Vector256.Create(*x);
                s0 = Vector256.FusedMultiplyAdd(value, Vector256.Load(panel), s0);
                s1 = Vector256.FusedMultiplyAdd(value, Vector256.Load(panel + 8), s1);
                s2 = Vector256.FusedMultiplyAdd(value, Vector256.Load(panel + 16), s2);
                s3 = Vector256.FusedMultiplyAdd(value, Vector256.Load(panel + 24), s3);
            }

            s0.Store(c);
            s1.Store(c + 8);
            s2.Store(c + 16);
            s3.Store(c + 24);
        }
    }

    /// <summary>The emitted code, made at its first use; several threads may make it, to the same effect.</summary>
    internal static void Emitted(FloatTile* tile, int rows)
    {
        ref nint function = ref functions[rows];
        if (Volatile.Read(ref function) == 0)
        {
            Volatile.Write(ref function, EmittedCode.Place(assembler => Write(assembler, rows)));
        }

        ((delegate* unmanaged[SuppressGCTransition]<FloatTile*, void>)function)(tile);
    }

    private static void Write(Assembler c, int rows)
    {
        AssemblerRegister64 x = rsi, panel = rdx, result = rcx, count = rax;
        c.mov(x, __qword_ptr[rdi]);
        c.mov(panel, __qword_ptr[rdi + 8]);
        c.mov(result, __qword_ptr[rdi + 16]);
        c.mov(count, __qword_ptr[rdi + 24]);
        for (int i = 0; i < 2 * rows; i++)
        {
            c.vmovups(Vectors.Register(i), __zmmword_ptr[result + (64 * i)]);
        }

        Label step = c.CreateLabel();
        c.Label(ref step);
        c.vmovups(Vectors.Register(Panel), __zmmword_ptr[panel]);
        c.vmovups(Vectors.Register(Panel + 1), __zmmword_ptr[panel + 64]);
        for (int m = 0; m < rows; m++)
        {
            AssemblerRegisterZMM value = Vectors.Register(Panel + 2 + (m % 2));
            c.vbroadcastss(value, __dword_ptr[x + (sizeof(float) * m)]);
            c.vfmadd231ps(Vectors.Register(2 * m), value, Vectors.Register(Panel));
            c.vfmadd231ps(Vectors.Register((2 * m) + 1), value, Vectors.Register(Panel + 1));
        }

        c.add(panel, ColumnBytes);
        c.add(x, sizeof(float) * rows);
        c.dec(count);
        c.jnz(step);
        for (int i = 0; i < 2 * rows; i++)
        {
            c.vmovups(__zmmword_ptr[result + (64 * i)], Vectors.Register(i));
        }

        c.vzeroupper();
        c.ret();
    }
}
