using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Runtime.Cpu;

/// <summary>What this processor can do, as text for reports.</summary>
public static class CpuFeatures
{
    private const int ExtendedFeatures = 7;

    private static readonly (string Name, bool IsSupported)[] Known =
    [
        ("AVX2", Avx2.IsSupported && !Avx512F.IsSupported),
        ("FMA", Fma.IsSupported && !Avx512F.IsSupported),
        ("AVX-512 F", Avx512F.IsSupported),
        ("AVX-512 BW", Avx512BW.IsSupported),
        ("AVX-512 DQ", Avx512DQ.IsSupported),
        ("AVX-512 VBMI", Avx512Vbmi.IsSupported),
        ("AVX-512 VNNI", HasAvx512Vnni),
        ("AVX10.1", Avx10v1.IsSupported),
        ("AVX-VNNI", AvxVnni.IsSupported),
        ("Neon", AdvSimd.IsSupported),
        ("Neon dot product", Dp.IsSupported),
    ];

    /// <summary>Gets the instruction sets that the kernels can use, such as <c>AVX-512 F/BW/DQ/VBMI</c>.</summary>
    public static string InstructionSets { get; } = Join(Known.Where(set => set.IsSupported).Select(set => set.Name));

    /// <summary>Gets whether 512-bit sums of four byte products (<c>vpdpbusd</c>) are there, for which .NET has no intrinsic.</summary>
    public static bool HasAvx512Vnni =>
        Avx512BW.IsSupported && (X86Base.CpuId(ExtendedFeatures, 0).Ecx & (1 << 11)) != 0;

    /// <summary>Gets the model's name, or the architecture's where the system does not tell.</summary>
    public static string ModelName { get; } = ReadModelName();

    /// <summary>Describes the processor in one line: model, instruction sets, cores, threads in use.</summary>
    public static string Describe() =>
        $"{ModelName}, {InstructionSets}, {Environment.ProcessorCount} logical cores, {ParallelRows.WorkerCount} threads";

    /// <summary>Joins names, those of AVX-512 under one heading.</summary>
    internal static string Join(IEnumerable<string> names)
    {
        const string Family = "AVX-512 ";
        string[] all = [.. names];
        string[] wide = [.. all.Where(IsWide).Select(name => name[Family.Length..])];
        IEnumerable<string> rest = all.Where(name => !IsWide(name));
        string[] parts = wide.Length == 0 ? [.. rest] : [Family + string.Join('/', wide), .. rest];
        return parts.Length == 0 ? "baseline instructions" : string.Join(", ", parts);

        static bool IsWide(string name) => name.StartsWith(Family, StringComparison.Ordinal);
    }

    private static string ReadModelName()
    {
        const string Processors = "/proc/cpuinfo";
        string? line = File.Exists(Processors)
            ? File.ReadLines(Processors).FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))
            : null;
        return line?.Split(':', 2)[1].Trim()
            ?? System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture.ToString();
    }
}
