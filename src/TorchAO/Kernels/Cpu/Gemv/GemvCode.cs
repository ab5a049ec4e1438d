using System.Collections.Concurrent;
using Iced.Intel;
using TorchAO.Kernels.Cpu.Emitted;
using static Iced.Intel.AssemblerRegisters;

namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>Emits the product of <see cref="GemvArguments"/> in AVX-512 VNNI: each byte of the weight is loaded once for all rows.</summary>
/// <remarks>
/// Per 64 bytes of int4 and one row in fixed point: four operations to load and unpack, six multiplications of 64 byte pairs, six to add
/// up and scale. Converting each code to floating point and multiplying there takes 31.
/// </remarks>
internal sealed class GemvCode
{
    private const int DigitBase = 256;

    private static readonly ConcurrentDictionary<GemvShape, nint> functions = new();

    private static readonly AssemblerRegister64 weight = rsi, scales = rdx, x = rcx, xScales = r8, initial = r9, count = rax;
    private static readonly AssemblerRegister64 groupLeft = r10, scalesAt = r11, stride = rbx, stride3 = rbp;
    private static readonly AssemblerRegister64 scaleStride = r12, scaleStride3 = r13, at = r14, place = r15;

    private readonly Assembler c;
    private readonly GemvShape shape;
    private readonly AssemblerRegisterZMM constant = Vectors.Register(31); // flips signs of 8-bit codes, masks 4-bit ones
    private readonly AssemblerRegisterZMM spread = Vectors.Register(30); // which of a unit's groups each lane belongs to
    private readonly AssemblerRegisterZMM digitBase = Vectors.Register(29);
    private readonly AssemblerRegisterZMM scale = Vectors.Register(28);
    private readonly int firstTotal;
    private readonly int firstCodes;
    private Label spreadTable;

    private GemvCode(Assembler assembler, GemvShape shape)
    {
        c = assembler;
        this.shape = shape;
        firstTotal = shape.WeightRows * shape.Rows * shape.InitialVectors; // sums come first
        firstCodes = firstTotal + (shape.WeightRows * shape.Rows);
        spreadTable = c.CreateLabel();
    }

    /// <summary>Gets the function of a shape, made at its first use.</summary>
    public static unsafe delegate* unmanaged[SuppressGCTransition]<GemvArguments*, void> For(GemvShape shape) =>
        (delegate* unmanaged[SuppressGCTransition]<GemvArguments*, void>)functions.GetOrAdd(
            shape, static key => EmittedCode.Place(assembler => new GemvCode(assembler, key).Write()));

    private void Write()
    {
        AssemblerRegister64[] saved = [rbx, rbp, r12, r13, r14, r15];
        foreach (AssemblerRegister64 register in saved)
        {
            c.push(register);
        }

        WriteConstants();
        c.mov(stride, Argument(nameof(GemvArguments.WeightStride)));
        c.lea(stride3, __[stride + (stride * 2)]);
        c.mov(scaleStride, Argument(nameof(GemvArguments.ScaleStride)));
        c.lea(scaleStride3, __[scaleStride + (scaleStride * 2)]);
        Label row = c.CreateLabel();
        c.Label(ref row);
        WriteRow();
        for (int i = 0; i < shape.WeightRows; i++)
        {
            c.add(Argument(nameof(GemvArguments.Weight)), stride);
            c.add(Argument(nameof(GemvArguments.Scales)), scaleStride);
        }

        c.add(Argument(nameof(GemvArguments.Y)), sizeof(float) * shape.WeightRows);
        c.sub(Argument(nameof(GemvArguments.WeightRows)), shape.WeightRows);
        c.jnz(row);
        foreach (AssemblerRegister64 register in saved.Reverse())
        {
            c.pop(register);
        }

        c.vzeroupper();
        c.ret();
        if (shape.GroupsPerUnit > 1)
        {
            c.Label(ref spreadTable);
            for (uint lane = 0; lane < GemvShape.Lanes; lane++)
            {
                c.dd(lane * (uint)shape.GroupsPerUnit / GemvShape.Lanes);
            }
        }
    }

    private void WriteConstants()
    {
        c.mov(eax, shape.Bits == 8 ? 0x80808080u : 0x0F0F0F0F);
        c.vpbroadcastd(constant, eax);
        if (shape.Planes > 1 && shape.Bits == 8)
        {
            c.mov(eax, BitConverter.SingleToInt32Bits(DigitBase));
            c.vpbroadcastd(digitBase, eax);
        }

        if (shape.GroupsPerUnit > 1)
        {
            c.vmovdqu32(spread, __zmmword_ptr[spreadTable]);
        }
    }

    private void WriteRow()
    {
        c.mov(weight, Argument(nameof(GemvArguments.Weight)));
        c.mov(scales, Argument(nameof(GemvArguments.Scales)));
        c.mov(x, Argument(nameof(GemvArguments.X)));
        c.mov(xScales, Argument(nameof(GemvArguments.XScales)));
        c.mov(initial, Argument(nameof(GemvArguments.Initial)));
        c.mov(groupLeft, Argument(nameof(GemvArguments.GroupBlocks)));
        for (int i = 0; i < shape.WeightRows * shape.Rows; i++)
        {
            c.vpxord(Vectors.Register(firstTotal + i), Vectors.Register(firstTotal + i), Vectors.Register(firstTotal + i));
        }

        Label block = c.CreateLabel(), rest = c.CreateLabel(), end = c.CreateLabel();
        c.mov(count, Argument(nameof(GemvArguments.Blocks)));
        c.test(count, count);
        c.jz(rest);
        c.mov(scalesAt, Argument(nameof(GemvArguments.ScalesAhead)));
        c.add(scalesAt, scales);
        c.mov(at, Argument(nameof(GemvArguments.WeightAhead))); // asked for now: the same place in rows that come later
        c.add(at, weight);
        c.Label(ref block);
        WriteWholeBlock();
        c.dec(count);
        c.jnz(block);

        c.Label(ref rest);
        c.mov(place, Argument(nameof(GemvArguments.TailMask)));
        WriteRest(end);
        c.Label(ref end);
        if (shape.HasZeros)
        {
            WriteZeros();
        }

        WriteResult();
    }

    private void WriteWholeBlock()
    {
        WriteInitial();
        for (int unit = 0; unit < shape.BlockUnits; unit++)
        {
            WriteUnit(GemvShape.UnitBytes * unit, x + (shape.UnitActivations * unit), isTail: false);
            WriteNextCodes(unit);
        }

        WriteBlockEnd(isTail: false);
        c.add(weight, GemvShape.UnitBytes * shape.BlockUnits);
        c.add(at, GemvShape.UnitBytes * shape.BlockUnits);
        c.add(x, shape.UnitActivations * shape.BlockUnits);
        c.add(initial, shape.Rows * shape.InitialVectors * GemvShape.UnitBytes);
        if (shape.Planes > 1)
        {
            c.add(xScales, sizeof(float) * shape.Rows);
        }

        if (shape.GroupsPerUnit > 1)
        {
            WriteNextScales();
            return;
        }

        Label same = c.CreateLabel();
        c.dec(groupLeft);
        c.jnz(same);
        WriteNextScales();
        c.mov(groupLeft, Argument(nameof(GemvArguments.GroupBlocks)));
        c.Label(ref same);
    }

    private void WriteNextCodes(int unit)
    {
        for (int r = 0; r < shape.WeightRows; r++)
        {
            c.prefetcht1(__byte_ptr[Row(at, stride, stride3, r) + (GemvShape.UnitBytes * unit)]);
        }
    }

    // Scales of the rows that come next lie one row behind the other, and are asked for in this order.
    private void WriteNextScales()
    {
        c.prefetcht1(__byte_ptr[scalesAt]);
        c.add(scalesAt, sizeof(float) * shape.GroupsPerUnit * shape.WeightRows);
        c.add(scales, sizeof(float) * shape.GroupsPerUnit);
    }

    // A block that is not whole: whole units, where blocks have several, and a part of one.
    private void WriteRest(Label end)
    {
        if (shape.BlockUnits == 1)
        {
            c.test(place, place);
            c.jz(end);
            WriteInitial();
            WriteTail();
            WriteBlockEnd(isTail: true);
            return;
        }

        Label some = c.CreateLabel(), unit = c.CreateLabel(), last = c.CreateLabel(), finished = c.CreateLabel();
        c.mov(count, Argument(nameof(GemvArguments.RestUnits)));
        c.test(count, count);
        c.jnz(some);
        c.test(place, place);
        c.jz(end);
        c.Label(ref some);
        WriteInitial();
        c.test(count, count);
        c.jz(last);
        c.Label(ref unit);
        WriteUnit(0, x + 0, isTail: false);
        WriteNextCodes(0);
        c.add(at, GemvShape.UnitBytes);
        c.add(weight, GemvShape.UnitBytes);
        c.add(x, shape.UnitActivations);
        c.dec(count);
        c.jnz(unit);
        c.Label(ref last);
        c.test(place, place);
        c.jz(finished);
        WriteTail();
        c.Label(ref finished);
        WriteBlockEnd(isTail: true);
    }

    private void WriteTail()
    {
        c.kmovq(k1, place);
        WriteUnit(0, x + 0, isTail: true);
        c.mov(place, Argument(nameof(GemvArguments.TailGroups)));
    }

    // Sums of 8-bit codes go on from unit to unit, a plane each; those of narrower codes are finished in their unit.
    private void WriteInitial()
    {
        for (int i = 0; shape.Bits == 8 && i < shape.Rows * shape.Planes; i++)
        {
            (int m, int plane) = (i / shape.Planes, i % shape.Planes);
            c.vmovdqu32(Sum(0, m, plane), __zmmword_ptr[initial + (GemvShape.UnitBytes * i)]);
            for (int r = 1; r < shape.WeightRows; r++)
            {
                c.vmovdqa32(Sum(r, m, plane), Sum(0, m, plane));
            }
        }
    }

    private void WriteUnit(int offset, AssemblerMemoryOperand activations, bool isTail)
    {
        for (int r = 0; r < shape.WeightRows; r++)
        {
            WriteCodes(r, __zmmword_ptr[Row(weight, stride, stride3, r) + offset], isTail);
        }

        for (int m = 0; m < shape.Rows; m++)
        {
            if (shape.Bits == 8)
            {
                for (int plane = 0; plane < shape.Planes; plane++)
                {
                    WriteProducts(m, plane, 0, activations + (GemvShape.UnitBytes * ((m * shape.Planes) + plane)));
                }
            }
            else
            {
                WriteHalves(m, activations + (2 * shape.Planes * GemvShape.UnitBytes * m));
            }
        }
    }

    private void WriteCodes(int r, AssemblerMemoryOperand from, bool isTail)
    {
        if (isTail)
        {
            c.vmovdqu8(Codes(r, 0).k1.z, from);
        }
        else if (shape.Bits != 8)
        {
            c.vmovdqu32(Codes(r, 0), from);
        }

        if (shape.Bits == 8)
        {
            if (isTail)
            {
                c.vpxord(Codes(r, 0), Codes(r, 0), constant);
            }
            else
            {
                c.vpxord(Codes(r, 0), constant, from);
            }

            return;
        }

        c.vpsrlw(Codes(r, 1), Codes(r, 0), 4);
        c.vpandd(Codes(r, 0), Codes(r, 0), constant);
        c.vpandd(Codes(r, 1), Codes(r, 1), constant);
    }

    // Activations are loaded once for all weight rows.
    private void WriteProducts(int m, int plane, int vector, AssemblerMemoryOperand activations)
    {
        if (shape.WeightRows == 1)
        {
            c.vpdpbusd(Sum(0, m, plane), Codes(0, vector), __zmmword_ptr[activations]);
            return;
        }

        c.vmovdqa32(scale, __zmmword_ptr[activations]);
        for (int r = 0; r < shape.WeightRows; r++)
        {
            c.vpdpbusd(Sum(r, m, plane), Codes(r, vector), scale);
        }
    }

    // The highest digit first; what is summed up by then counts 256 times the next.
    private void WriteHalves(int m, AssemblerMemoryOperand activations)
    {
        for (int r = 0; r < shape.WeightRows; r++)
        {
            if (shape.Planes == 1)
            {
                c.vmovdqu32(Sum(r, m, 0), __zmmword_ptr[initial + (GemvShape.UnitBytes * m)]);
            }
            else
            {
                c.vpxord(Sum(r, m, 0), Sum(r, m, 0), Sum(r, m, 0));
            }
        }

        for (int plane = 0; plane < shape.Planes; plane++)
        {
            for (int r = 0; r < shape.WeightRows && plane > 0; r++)
            {
                c.vpslld(Sum(r, m, 0), Sum(r, m, 0), 8);
            }

            WriteProducts(m, 0, 0, activations + (2 * GemvShape.UnitBytes * plane));
            WriteProducts(m, 0, 1, activations + ((2 * GemvShape.UnitBytes * plane) + GemvShape.UnitBytes));
        }

        for (int r = 0; r < shape.WeightRows && shape.Planes > 1; r++)
        {
            c.vpaddd(Sum(r, m, 0), Sum(r, m, 0), __zmmword_ptr[initial + (GemvShape.UnitBytes * m)]);
        }
    }

    private void WriteBlockEnd(bool isTail)
    {
        for (int r = 0; r < shape.WeightRows; r++)
        {
            AssemblerMemoryOperand from = Row(scales, scaleStride, scaleStride3, r);
            if (shape.GroupsPerUnit > 1)
            {
                WriteSpreadScales(from, isTail);
            }

            for (int m = 0; m < shape.Rows; m++)
            {
                AssemblerRegisterZMM value = WriteValue(r, m);
                if (shape.Planes > 1)
                {
                    c.vmulps(value, value, __dword_bcst[xScales + (sizeof(float) * m)]);
                }

                if (shape.GroupsPerUnit > 1)
                {
                    c.vfmadd231ps(Total(r, m), value, scale);
                }
                else
                {
                    c.vfmadd231ps(Total(r, m), value, __dword_bcst[from]);
                }
            }
        }
    }

    private void WriteSpreadScales(AssemblerMemoryOperand from, bool isTail)
    {
        if (isTail)
        {
            c.kmovw(k2, r15d);
            c.vmovups(scale.k2.z, __zmmword_ptr[from]);
        }
        else if (shape.GroupsPerUnit == 4)
        {
            c.vmovups(ToXmm(scale), __xmmword_ptr[from]);
        }
        else
        {
            c.vmovsd(ToXmm(scale), __qword_ptr[from]);
        }

        c.vpermps(scale, spread, scale);
    }

    private AssemblerRegisterZMM WriteValue(int r, int m)
    {
        AssemblerRegisterZMM value = Sum(r, m, 0);
        if (shape.InitialVectors > 1)
        {
            c.vpslld(value, value, 8);
            c.vpaddd(value, value, Sum(r, m, 1));
            c.vcvtdq2ps(value, value);
            c.vcvtdq2ps(Sum(r, m, 2), Sum(r, m, 2));
            c.vfmadd213ps(value, digitBase, Sum(r, m, 2));
            return value;
        }

        c.vcvtdq2ps(value, value);
        return value;
    }

    private void WriteZeros()
    {
        for (int r = 0; r < shape.WeightRows; r++)
        {
            Label vector = c.CreateLabel(), rest = c.CreateLabel(), end = c.CreateLabel();
            c.mov(weight, Argument(nameof(GemvArguments.Zeros)));
            c.mov(x, Argument(nameof(GemvArguments.Sums)));
            c.mov(count, Argument(nameof(GemvArguments.ZeroVectors)));
            c.test(count, count);
            c.jz(rest);
            c.Label(ref vector);
            c.vmovups(scale, __zmmword_ptr[weight]);
            WriteZeroProducts(r);
            c.add(weight, GemvShape.UnitBytes);
            c.add(x, GemvShape.UnitBytes);
            c.dec(count);
            c.jnz(vector);
            c.Label(ref rest);
            c.mov(at, Argument(nameof(GemvArguments.ZeroMask)));
            c.test(at, at);
            c.jz(end);
            c.kmovw(k1, r14d);
            c.vmovups(scale.k1.z, __zmmword_ptr[weight]);
            WriteZeroProducts(r);
            c.Label(ref end);
            c.mov(place, Argument(nameof(GemvArguments.ZeroStride)));
            c.add(Argument(nameof(GemvArguments.Zeros)), place);
        }
    }

    // Rows of sums are filled up with zeros to whole vectors.
    private void WriteZeroProducts(int r)
    {
        c.mov(place, x);
        for (int m = 0; m < shape.Rows; m++)
        {
            c.vfmadd231ps(Total(r, m), scale, __zmmword_ptr[place]);
            c.add(place, Argument(nameof(GemvArguments.SumStride)));
        }
    }

    // Halves are added until one lane is left.
    private void WriteResult()
    {
        c.mov(place, Argument(nameof(GemvArguments.Y)));
        for (int m = 0; m < shape.Rows; m++)
        {
            for (int r = 0; r < shape.WeightRows; r++)
            {
                AssemblerRegisterZMM total = Total(r, m), other = Codes(0, 0);
                c.vextractf64x4(ToYmm(other), total, 1);
                c.vaddps(ToYmm(total), ToYmm(total), ToYmm(other));
                c.vextractf32x4(ToXmm(other), ToYmm(total), 1);
                c.vaddps(ToXmm(total), ToXmm(total), ToXmm(other));
                c.vpermilpd(ToXmm(other), ToXmm(total), 1);
                c.vaddps(ToXmm(total), ToXmm(total), ToXmm(other));
                c.vpermilps(ToXmm(other), ToXmm(total), 1);
                c.vaddss(ToXmm(total), ToXmm(total), ToXmm(other));
                c.vmovss(__dword_ptr[place + (sizeof(float) * r)], ToXmm(total));
            }

            c.add(place, Argument(nameof(GemvArguments.YStride)));
        }
    }

    private static AssemblerMemoryOperand Row(AssemblerRegister64 first, AssemblerRegister64 step, AssemblerRegister64 step3, int r) =>
        r switch { 0 => first + 0, 1 => first + step, 2 => first + (step * 2), _ => first + step3 };

    private AssemblerRegisterZMM Sum(int r, int m, int plane) =>
        Vectors.Register((((r * shape.Rows) + m) * shape.InitialVectors) + plane);

    private AssemblerRegisterZMM Total(int r, int m) => Vectors.Register(firstTotal + (r * shape.Rows) + m);

    private AssemblerRegisterZMM Codes(int r, int vector) => Vectors.Register(firstCodes + (r * shape.Vectors) + vector);

    private static AssemblerRegisterYMM ToYmm(AssemblerRegisterZMM register) => new(Register.YMM0 + (register.Value - Register.ZMM0));

    private static AssemblerRegisterXMM ToXmm(AssemblerRegisterZMM register) => new(Register.XMM0 + (register.Value - Register.ZMM0));

    private static AssemblerMemoryOperand Argument(string field) =>
        __qword_ptr[rdi + (int)System.Runtime.InteropServices.Marshal.OffsetOf<GemvArguments>(field)];
}
