using System.Diagnostics;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Emit;
using Xunit;

namespace TorchAO.Architecture.Tests.Startup;

/// <summary>Loading the library is free: no device is woken, no thread is started, nothing native is mapped.</summary>
public sealed class ImportTests
{
    // Runs alone in a process: threads of this test program would hide what an import starts.
    private const string Probe = """
        using System.Diagnostics;
        using System.Reflection;
        using System.Runtime.CompilerServices;

        AppDomain.CurrentDomain.AssemblyResolve += (_, wanted) =>
        {
            string path = Path.Combine(args[0], new AssemblyName(wanted.Name).Name + ".dll");
            return File.Exists(path) ? Assembly.LoadFrom(path) : null;
        };
        HashSet<string> before = [.. Threads()];
        int types = 0;
        foreach (string path in args[1..])
        {
            types += Visit(Assembly.LoadFrom(path));
        }

        // Before the first word to the console, which starts the runtime's thread for signals.
        string[] started = [.. Threads().Where(thread => !before.Contains(thread))];
        Console.WriteLine($"types {types}");
        foreach (string thread in started)
        {
            Console.WriteLine($"thread {thread}");
        }

        foreach (ProcessModule module in Process.GetCurrentProcess().Modules)
        {
            Console.WriteLine($"module {Path.GetFileName(module.FileName)}");
        }

        static IEnumerable<string> Threads()
            => Directory.GetDirectories("/proc/self/task")
                .Select(task => $"{Path.GetFileName(task)} {File.ReadAllText(Path.Combine(task, "comm")).Trim()}");

        static int Visit(Assembly assembly)
        {
            RuntimeHelpers.RunModuleConstructor(assembly.ManifestModule.ModuleHandle);
            return assembly.GetTypes().Length;
        }
        """;

    private static readonly string[] native = ["libtorch", "libc10", "libcuda", "libcudart", "libnvrtc", "LibTorchSharp"];

    [Fact]
    public void Loading_the_library_starts_neither_threads_nor_devices()
    {
        string[] lines = RunProbe([.. ProductAssemblies.Paths]);

        int types = int.Parse(Assert.Single(Values(lines, "types")), System.Globalization.CultureInfo.InvariantCulture);
        Assert.True(types > 10, $"the probe saw no types:\n{string.Join('\n', lines)}");
        Offences.AssertNone(Values(lines, "thread"), "Start threads at the first use, not at load.");
        Offences.AssertNone(NativeModules(lines), "Load native libraries at the first use, not at load.");
    }

    [Fact]
    public void A_library_that_starts_a_thread_at_load_is_found()
    {
        using MemoryStream image = InMemoryCompiler.Library("Planted", """
            public static class Boot
            {
                [System.Runtime.CompilerServices.ModuleInitializer]
                public static void Start()
                {
                    System.Threading.Thread thread = new(() => System.Threading.Thread.Sleep(-1));
                    (thread.Name, thread.IsBackground) = ("planted", true);
                    thread.Start();
                }
            }
            """);
        string path = Path.Combine(Directory.CreateTempSubdirectory("torchao-planted").FullName, "Planted.dll");
        File.WriteAllBytes(path, image.ToArray());

        string[] lines = RunProbe([path]);

        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        Assert.EndsWith(" planted", Assert.Single(Values(lines, "thread")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_native_library_among_the_modules_is_found()
        => Assert.Equal(["libcuda.so.1"], NativeModules(["types 3", "module libcuda.so.1", "module libm.so.6"]));

    private static IEnumerable<string> NativeModules(IEnumerable<string> lines)
        => Values(lines, "module")
            .Where(file => native.Any(name => file.StartsWith(name, StringComparison.OrdinalIgnoreCase)));

    private static IEnumerable<string> Values(IEnumerable<string> lines, string key)
        => lines.Where(line => line.StartsWith(key + " ", StringComparison.Ordinal)).Select(line => line[(key.Length + 1)..]);

    private static string[] RunProbe(string[] assemblies)
    {
        string folder = Directory.CreateTempSubdirectory("torchao-probe").FullName;
        try
        {
            string program = Path.Combine(folder, "Probe.dll");
            EmitResult result = InMemoryCompiler.FrameworkProgram("Probe", Probe).Emit(program);
            Assert.True(result.Success, string.Join('\n', result.Diagnostics));
            // Tiered compilation starts a thread of its own whenever it likes: the count would not be ours.
            File.WriteAllText(Path.ChangeExtension(program, ".runtimeconfig.json"), $$"""
                {
                  "runtimeOptions": {
                    "tfm": "net10.0",
                    "framework": { "name": "Microsoft.NETCore.App", "version": "{{Environment.Version}}" },
                    "configProperties": { "System.Runtime.TieredCompilation": false }
                  }
                }
                """);
            ProcessStartInfo start = new(HostPath(), ["exec", program, AppContext.BaseDirectory, .. assemblies])
            {
                RedirectStandardOutput = true,
            };
            using Process process = Process.Start(start)!;
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, $"the probe ended with {process.ExitCode}:\n{output}");
            return output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // The runtime lies in <host>/shared/Microsoft.NETCore.App/<version>.
    private static string HostPath()
        => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "..", "..", "..",
            OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));
}
