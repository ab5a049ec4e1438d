using System.Diagnostics;
using TorchAO.Architecture.Tests.Docs;
using Xunit;

namespace TorchAO.Architecture.Tests.Engineering;

/// <summary>A project outside of the clone, made as the quick start says, builds and runs.</summary>
public sealed class OutsideProjectTests : IDisposable
{
    private const string Page = "docs/quick-start.md";

    private readonly string folder = Directory.CreateTempSubdirectory("torchao-outside-").FullName;

    [Fact]
    public void The_quick_starts_project_file_and_program_quantize_a_model()
    {
        string project = Block("```xml").Replace("../torchao/", Repository.Root + "/", StringComparison.Ordinal);
        Assert.Contains(Repository.Root, project, StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(folder, "first.csproj"), project);
        File.WriteAllText(Path.Combine(folder, "Program.cs"), new MarkdownPage(Page, Repository.Read(Page)).Snippets[0].Text);

        // What the references are built to is there already: this test's own folder says in which configuration.
        string configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        (int status, string output) = Run(
            "build", "first.csproj", "-c", configuration, "-p:BuildProjectReferences=false", "-p:NuGetAudit=false", "--disable-build-servers");
        Assert.True(status == 0, output);
        (status, output) = Run(Directory.EnumerateFiles(Path.Combine(folder, "bin"), "first.dll", SearchOption.AllDirectories).Single());

        Assert.True(status == 0, output);
        Assert.Contains("2 of 2 layers quantized", output, StringComparison.Ordinal);
        Assert.EndsWith("1, 256", output.TrimEnd(), StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static string Block(string fence)
    {
        string rest = Repository.Read(Page).Split(fence + "\n", 2)[1];
        return rest[..rest.IndexOf("```", StringComparison.Ordinal)];
    }

    private (int Status, string Output) Run(params string[] arguments)
    {
        string host = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? Environment.ProcessPath! : "dotnet";
        var start = new ProcessStartInfo(host, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        start.Environment["DOTNET_NOLOGO"] = "1";
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + error.GetAwaiter().GetResult());
    }
}
