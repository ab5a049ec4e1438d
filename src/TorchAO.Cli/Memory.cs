using System.Diagnostics;

namespace TorchAO.Cli;

/// <summary>How much memory this process has taken.</summary>
internal static class Memory
{
    /// <summary>Gets the most bytes that were resident at once.</summary>
    public static long PeakBytes
    {
        get
        {
            using var self = Process.GetCurrentProcess();
            return self.PeakWorkingSet64;
        }
    }
}
