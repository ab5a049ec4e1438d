namespace TorchAO.Cli;

/// <summary>What the process tells its caller.</summary>
internal static class ExitCode
{
    /// <summary>Done.</summary>
    public const int Success = 0;

    /// <summary>A model, a file or a config is not what it should be; standard error says what, where and what to do.</summary>
    public const int Failure = 1;

    /// <summary>The command line is wrong.</summary>
    public const int Usage = 2;

    /// <summary>Interrupted by Ctrl-C: 128 plus the signal's number, as shells count.</summary>
    public const int Interrupted = 130;
}
