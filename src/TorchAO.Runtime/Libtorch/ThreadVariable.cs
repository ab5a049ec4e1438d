using System.Globalization;
using System.Runtime.InteropServices;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Hands the environment variable <c>TORCHAO_NUM_THREADS</c> on to the thread pools of libtorch.</summary>
/// <remarks>
/// They read <c>OMP_NUM_THREADS</c> and <c>MKL_NUM_THREADS</c> from the C library's environment when they are loaded, and so for
/// all threads alike; MKL lowers a count above the cores of the machine. <c>torch.set_num_threads</c> later on counts for the calling thread and for new ones only.
/// </remarks>
internal static partial class ThreadVariable
{
    /// <summary>Names the variable: the most threads to use, from 1 to 1024; it goes before both others.</summary>
    public const string Name = "TORCHAO_NUM_THREADS";

    private const int Most = 1024;

    /// <summary>Applies the variable, if it is set. Libtorch must not be loaded yet.</summary>
    /// <exception cref="InvalidOperationException">Its value is not such a count.</exception>
    public static void Apply()
    {
        string? text = Environment.GetEnvironmentVariable(Name);
        if (string.IsNullOrEmpty(text))
        {
            return;
        }

        string count = Parse(text).ToString(CultureInfo.InvariantCulture);
        foreach (string variable in new[] { "OMP_NUM_THREADS", "MKL_NUM_THREADS" })
        {
            // .NET keeps its own copy of the environment, which native code does not see on Unix.
            Environment.SetEnvironmentVariable(variable, count);
            if (!OperatingSystem.IsWindows())
            {
                _ = Set(variable, count, 1);
            }
        }
    }

    /// <summary>Reads a value of the variable.</summary>
    internal static int Parse(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count is > 0 and <= Most
            ? count
            : throw new InvalidOperationException(
                $"{Name} is \"{text}\"; set it to a count of threads from 1 to {Most}, or unset it to use all cores.");

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Set(string name, string value, int overwrite);
}
