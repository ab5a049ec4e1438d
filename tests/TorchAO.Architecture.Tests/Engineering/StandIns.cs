using System.Diagnostics;
using Xunit;

namespace TorchAO.Architecture.Tests.Engineering;

/// <summary>A folder in which a command of <c>eng</c> runs over scripts that stand for programs.</summary>
internal sealed class StandIns : IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("torchao-count").FullName;

    /// <summary>Makes the body of a test program that writes a result.</summary>
    public static string Result(int passed, int failed, int skipped, int status)
        => $"echo '<assemblies><assembly errors=\"0\" failed=\"{failed}\" passed=\"{passed}\" skipped=\"{skipped}\">"
            + $"</assembly></assemblies>' > \"$result\"; exit {status}";

    /// <summary>Writes a test program, whose body finds the path of its result in <c>$result</c>.</summary>
    public void Program(string path, string body)
        => Script(path, "all=\"$*\"\nwhile [ \"$1\" != -result-xml ]; do shift; done; result=\"$2\"\n" + body);

    /// <summary>Writes a script. Those in the folder <c>path</c> are found before the system's.</summary>
    public void Script(string path, string body)
    {
        string file = Prepare(path);
        File.WriteAllText(file, $"#!/usr/bin/env bash\n{body}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    public void Folder(string path) => Directory.CreateDirectory(Path.Combine(root, path));

    /// <summary>Runs a command of the repository here and compares its last line and its status.</summary>
    public void AssertCloses(string command, string expected, int status, params (string Name, string Value)[] variables)
    {
        File.WriteAllText(Prepare(command), Repository.Read(command));
        ProcessStartInfo start = new("bash", [Path.Combine(root, command)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["PATH"] = Path.Combine(root, "path") + ":" + Environment.GetEnvironmentVariable("PATH");
        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginErrorReadLine();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();

        Assert.Equal(expected, output.TrimEnd().Split('\n')[^1]);
        Assert.Equal(status, process.ExitCode);
    }

    public void Dispose() => Directory.Delete(root, recursive: true);

    private string Prepare(string path)
    {
        string file = Path.Combine(root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        return file;
    }
}
