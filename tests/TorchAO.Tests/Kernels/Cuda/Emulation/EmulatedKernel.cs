using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using TorchAO.Runtime.Cuda;
using Xunit;

namespace TorchAO.Tests.Kernels.Cuda.Emulation;

/// <summary>A kernel of a .cu file, compiled as C++ and run lane by lane on the CPU. Addresses in its struct are those of CPU memory.</summary>
/// <remarks>
/// Emulates compute capability 8.0, and barriers in shared memory: shuffles, tensor core products of <c>mma.sync</c>, asynchronous copies. Sums
/// have another order than on a device, and products are not contracted; compare with a tolerance where that matters.
/// </remarks>
internal sealed unsafe partial class EmulatedKernel
{
    private const string Folder = "tests/TorchAO.Tests/Kernels/Cuda/Emulation";

    private static readonly Dictionary<string, nint> Libraries = [];
    private static readonly Lazy<string?> LazyAbsence = new(FindAbsence);

    private readonly delegate* unmanaged<void*, nuint, uint*, uint*, uint, byte*> run;
    private readonly string name;

    private EmulatedKernel(string name, nint run)
    {
        this.name = name;
        this.run = (delegate* unmanaged<void*, nuint, uint*, uint*, uint, byte*>)run;
    }

    /// <summary>Gets why kernels cannot be emulated here, or <see langword="null"/> where they can.</summary>
    public static string? Absence => LazyAbsence.Value;

    /// <summary>Compiles an entry point; skips the test where there is no compiler of C++.</summary>
    /// <param name="file">The .cu file, from the root of the repository.</param>
    /// <param name="entry">The function.</param>
    /// <param name="options">As for the device, such as <c>-DACT=1</c>.</param>
    public static EmulatedKernel Compile(string file, string entry, params string[] options)
    {
        Assert.SkipUnless(Absence is null, Absence ?? "");
        return CompileText(Inline(RepositoryFiles.Path(file), []), entry, options);
    }

    /// <summary>As <see cref="Compile"/>, of a text. A text is compiled once, with all its kernels.</summary>
    public static EmulatedKernel CompileText(string text, string entry, params string[] options)
    {
        Assert.SkipUnless(Absence is null, Absence ?? "");
        nint library;
        lock (Libraries)
        {
            string key = string.Join('\n', [.. options, text]);
            if (!Libraries.TryGetValue(key, out library))
            {
                Libraries[key] = library = Load(text, options);
            }
        }

        return NativeLibrary.TryGetExport(library, "emulate_" + entry, out nint run)
            ? new EmulatedKernel(entry, run)
            : throw new ArgumentException($"the text has no extern \"C\" __global__ void {entry}(...)", nameof(entry));
    }

    private static nint Load(string text, string[] options)
    {
        string folder = Directory.CreateTempSubdirectory("torchao-emulated").FullName;
        try
        {
            string source = Path.Combine(folder, "kernel.cpp"), library = Path.Combine(folder, "kernel.so");
            var program = new StringBuilder();
            program.AppendLine($"#include \"{RepositoryFiles.Path(Folder + "/emulator.h")}\"").AppendLine(Translate(text));
            foreach (Match match in Entry().Matches(text))
            {
                string name = match.Groups[1].Value;
                program.AppendLine($$"""
                    extern "C" const char* emulate_{{name}}(const void* arguments, size_t bytes, const unsigned* grid, const unsigned* block, unsigned shared)
                    {
                        return emulated::run({{name}}, arguments, bytes, grid, block, shared);
                    }
                    """);
            }

            File.WriteAllText(source, program.ToString());
            // A kernel's name may be one of the C library's: it means the kernel.
            Build([
                "-std=c++20", "-O1", "-ffp-contract=off", "-fno-strict-aliasing", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-Wno-attributes",
                "-D__CUDA_ARCH__=800", .. options, source, "-o", library]);
            return NativeLibrary.Load(library); // the file may go, the library stays until the process ends
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Runs all blocks, one after the other.</summary>
    /// <exception cref="InvalidOperationException">The struct has another size, threads wait for ever, or the kernel did what the
    /// emulator does not know.</exception>
    public void Run<TArguments>(in TArguments arguments, Dim3 grid, Dim3 block, int sharedBytes = 0)
        where TArguments : unmanaged
    {
        uint* blocks = stackalloc uint[3] { (uint)grid.X, (uint)grid.Y, (uint)grid.Z };
        uint* threads = stackalloc uint[3] { (uint)block.X, (uint)block.Y, (uint)block.Z };
        fixed (TArguments* first = &arguments)
        {
            byte* failure = run(first, (nuint)sizeof(TArguments), blocks, threads, (uint)sharedBytes);
            if (failure is not null)
            {
                throw new InvalidOperationException($"{name}: {Marshal.PtrToStringUTF8((nint)failure)}");
            }
        }
    }

    /// <summary>Makes C++ of CUDA: inline assembly becomes calls, dynamic shared memory a pointer.</summary>
    internal static string Translate(string text) => InlineAssembly.Rewrite(
        StaticShared().Replace(DynamicShared().Replace(text, "$1* const $2 = ($1*)emulated::dynamic_shared;"), Named));

    // A declaration of shared variables, and behind it, on the same line, their names for messages.
    private static string Named(Match declaration) => declaration.Value + string.Concat(
        declaration.Groups[1].Value.Split(',').Select(one => Declared().Match(one).Groups[1].Value)
            .Select(name => $" emulated::name_shared({name}, \"{name}\");"));

    // Each header stands where it is first included.
    private static string Inline(string path, HashSet<string> done)
    {
        var text = new StringBuilder();
        int number = 0;
        text.AppendLine($"#line 1 \"{path}\"");
        foreach (string line in File.ReadLines(path))
        {
            number++;
            Match include = IncludeLine().Match(line);
            if (include.Success)
            {
                string header = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, include.Groups[1].Value));
                header = File.Exists(header) ? header : RepositoryFiles.Path("src/TorchAO.Runtime/Cuda/Include/" + include.Groups[1].Value);
                text.AppendLine(done.Add(header) ? Inline(header, done) : "").AppendLine($"#line {number + 1} \"{path}\"");
            }
            else
            {
                text.AppendLine(line.StartsWith("#pragma once", StringComparison.Ordinal) ? "" : line);
            }
        }

        return text.ToString();
    }

    private static void Build(IEnumerable<string> arguments)
    {
        using Process compiler = Process.Start(new ProcessStartInfo("g++", arguments) { RedirectStandardError = true })!;
        string said = compiler.StandardError.ReadToEnd();
        compiler.WaitForExit();
        Assert.True(compiler.ExitCode == 0, said);
    }

    private static string? FindAbsence()
    {
        if (!OperatingSystem.IsLinux())
        {
            return "kernels are emulated on Linux only";
        }

        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        return folders.Any(folder => File.Exists(Path.Combine(folder, "g++"))) ? null : "kernels are emulated by g++, which is not here";
    }

    // Kernels of one parameter; the emulator has no others.
    [GeneratedRegex(@"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\s*\([^,)]*\)")]
    private static partial Regex Entry();

    [GeneratedRegex("""^\s*#\s*include\s*"([^"]+)"\s*$""")]
    private static partial Regex IncludeLine();

    [GeneratedRegex(@"extern\s+__shared__\s+(?:__align__\(\d+\)\s+|alignas\(\d+\)\s+)?([\w: ]+?)\s+(\w+)\s*\[\s*\]\s*;")]
    private static partial Regex DynamicShared();

    [GeneratedRegex(@"^[ \t]+__shared__\s+(?:__align__\(\d+\)\s+|alignas\(\d+\)\s+)?([^;()=<>]+);", RegexOptions.Multiline)]
    private static partial Regex StaticShared();

    [GeneratedRegex(@"(\w+)\s*(?:\[[^\]]*\]\s*)*$")]
    private static partial Regex Declared();
}
