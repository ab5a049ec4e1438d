using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace TorchAO.Kernels.Cpu.Emitted;

/// <summary>The 512-bit registers by number, for code that is written in loops.</summary>
internal static class Vectors
{
    private static readonly AssemblerRegisterZMM[] all =
    [
        zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7, zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15,
        zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23, zmm24, zmm25, zmm26, zmm27, zmm28, zmm29, zmm30, zmm31,
    ];

    /// <summary>Gets a register.</summary>
    public static AssemblerRegisterZMM Register(int number) => all[number];
}
