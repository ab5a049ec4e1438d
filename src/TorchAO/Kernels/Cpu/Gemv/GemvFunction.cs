using System.Runtime.InteropServices;
using TorchAO.Kernels.Cpu.Emitted;

namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>The product of a shape, found once: code made at run time where the processor and the system allow,
/// <see cref="GemvKernel"/> elsewhere.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct GemvFunction
{
    // Rows are asked for at least so many bytes ahead, into the second-level cache: the first has no room for lines that are on their
    // way. Less does not hide the memory's latency; more is no use where rows are longer.
    private const long LeastBytesAhead = 8 << 10;

    private readonly GemvShape shape;
    private readonly int together;
    private readonly delegate* unmanaged[SuppressGCTransition]<GemvArguments*, void> ofMany;
    private readonly delegate* unmanaged[SuppressGCTransition]<GemvArguments*, void> ofOne;

    /// <summary>Finds the fastest path of this process.</summary>
    /// <param name="shape">The shape; how many weight rows pass by together is decided here.</param>
    public GemvFunction(GemvShape shape)
        : this(shape, EmittedCode.HasByteProducts)
    {
    }

    private GemvFunction(GemvShape shape, bool isEmitted)
    {
        this.shape = shape;
        together = shape.WeightRowsTogether;
        if (isEmitted)
        {
            ofMany = GemvCode.For(shape with { WeightRows = together });
            ofOne = GemvCode.For(shape with { WeightRows = 1 });
        }
    }

    /// <summary>Finds the code made at run time, which must be there.</summary>
    public static GemvFunction Emitted(GemvShape shape) => new(shape, isEmitted: true);

    /// <summary>Computes: weight rows together as far as they go, the last ones by themselves.</summary>
    public void Run(GemvArguments operands)
    {
        if (ofMany == null)
        {
            GemvKernel.Wide(shape, &operands);
            return;
        }

        long last = operands.WeightRows % together;
        if (operands.WeightRows > last)
        {
            long stride = Math.Max(1, together * operands.WeightStride);
            long times = Math.Max(1, (LeastBytesAhead + stride - 1) / stride);
            operands.WeightAhead = times * stride;
            operands.ScalesAhead = times * together * operands.ScaleStride;
            operands.WeightRows -= last;
            ofMany(&operands); // leaves addresses behind what it has done
        }

        if (last > 0)
        {
            operands.WeightRows = last;
            ofOne(&operands);
        }
    }
}
