using System.Diagnostics;
using Xunit;

namespace TorchAO.Cli.Tests;

/// <summary>The command as its own process, as pipes and scripts see it.</summary>
public sealed class ProcessTests
{
    [Fact]
    public void Piped_text_has_no_escape_codes_and_progress_bars()
    {
        (int code, string output, string error) = Run(null, "generate", "--quantize", "int4wo-32", "--max-tokens", "5", "Once upon a time");

        Assert.Equal(ExitCode.Success, code);
        Assert.Empty(error);
        Assert.Contains("Once upon a time", output, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', output);
        Assert.DoesNotContain("quantizing", output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_libtorch_is_told_on_one_line_with_the_remedy()
    {
        (int code, string output, string error) = Run("/nowhere", "info");

        Assert.Equal(ExitCode.Failure, code);
        Assert.Empty(output);
        Assert.StartsWith("torchao: TORCHAO_LIBTORCH is /nowhere, which has no libtorch_cpu.so", error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
    }

    [Fact]
    public void Help_and_mistakes_need_no_libtorch()
    {
        Assert.Equal(ExitCode.Success, Run("/nowhere", "generate", "--help").Code);
        Assert.Equal(ExitCode.Usage, Run("/nowhere", "generate", "--dtype", "int3").Code);
    }

    private static (int Code, string Output, string Error) Run(string? libtorch, params string[] line)
    {
        string host = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? Environment.ProcessPath! : "dotnet";
        var start = new ProcessStartInfo(host, [Path.Combine(AppContext.BaseDirectory, "TorchAO.Cli.dll"), .. line])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        if (libtorch is not null)
        {
            start.Environment["TORCHAO_LIBTORCH"] = libtorch;
        }

        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.GetAwaiter().GetResult());
    }
}
