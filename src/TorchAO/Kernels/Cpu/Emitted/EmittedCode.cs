using System.Runtime.Intrinsics.X86;
using Iced.Intel;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;

namespace TorchAO.Kernels.Cpu.Emitted;

/// <summary>Machine code for the instructions that .NET has no intrinsic for, made at first use.</summary>
/// <remarks>
/// Two uses so far: 512-bit sums of byte products (AVX-512 VNNI), and loops whose sums fill all registers, which a compiler would put
/// into memory, which all processors with AVX-512 get. Each kernel that is made here has a twin in intrinsics with the same order of operations, which runs wherever code may not be made;
/// tests compare the two bit for bit. Functions take the address of one block of arguments by the System V convention.
/// </remarks>
internal static class EmittedCode
{
    /// <summary>Set to 0 to run the twins in intrinsics instead.</summary>
    public const string Variable = "TORCHAO_EMITTED_CODE";

    private static readonly Lazy<string?> unavailable = new(FindReason);

    /// <summary>Gets why no code is made in this process; <see langword="null"/> where it is.</summary>
    public static string? Unavailable => unavailable.Value;

    /// <summary>Gets whether code is made in this process.</summary>
    public static bool IsAvailable => Unavailable is null;

    /// <summary>Gets why there is no code with sums of byte products; <see langword="null"/> where there is.</summary>
    public static string? ByteProductsUnavailable =>
        Unavailable ?? (CpuFeatures.HasAvx512Vnni ? null : "this processor has no AVX-512 VNNI");

    /// <summary>Gets whether there is code with sums of byte products.</summary>
    public static bool HasByteProducts { get; } = ByteProductsUnavailable is null;

    /// <summary>Assembles a function and makes it executable.</summary>
    /// <param name="write">Writes the instructions.</param>
    /// <returns>The function's address, good until the process ends.</returns>
    /// <exception cref="InvalidOperationException">Code cannot be made here; ask <see cref="Unavailable"/> first.</exception>
    public static nint Place(Action<Assembler> write)
    {
        nint address = ExecutableMemory.TryPlace(Assemble(write), out string? reason);
        return address != 0 ? address : throw new InvalidOperationException($"A kernel could not be made: {reason}.");
    }

    private static byte[] Assemble(Action<Assembler> write)
    {
        var assembler = new Assembler(64) { PreferVex = false };
        write(assembler);
        using var bytes = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(bytes), rip: 0); // position-independent: all jumps are relative
        return bytes.ToArray();
    }

    private static string? FindReason()
    {
        if (Environment.GetEnvironmentVariable(Variable) == "0")
        {
            return $"{Variable} is 0";
        }

        if (!Avx512F.IsSupported)
        {
            return "this processor has no AVX-512";
        }

        _ = ExecutableMemory.TryPlace(Assemble(assembler => assembler.ret()), out string? reason);
        return reason;
    }
}
