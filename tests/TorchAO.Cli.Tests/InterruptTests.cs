using System.Diagnostics;
using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Cli.Tests;

/// <summary>Ctrl-C in the middle of the work, in a process of its own.</summary>
public sealed class InterruptTests
{
    private const int Width = 1024;
    private const int Layers = 6;

    [Fact]
    public void An_interrupted_quantize_leaves_no_folder_and_says_so()
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Skip("signals are sent with kill");
        }

        string folder = Directory.CreateTempSubdirectory("torchao-int-").FullName;
        try
        {
            string model = Path.Combine(folder, "model");
            WriteModel(model);
            string target = Path.Combine(folder, "small");
            int interrupted = 0;

            // Where the signal falls depends on the machine: from before the first layer to after the last.
            for (int delay = 500; delay <= 6000 && interrupted < 2; delay += 500)
            {
                (int code, string error) = Interrupt(model, target, delay);
                Assert.Contains(code, new[] { ExitCode.Success, ExitCode.Interrupted });
                Assert.Equal(code == ExitCode.Success, Directory.Exists(target));
                Assert.Equal(code == ExitCode.Success ? 2 : 1, Directory.GetFileSystemEntries(folder).Length);
                interrupted += error.Contains("interrupted; no file was changed", StringComparison.Ordinal) ? 1 : 0;
                if (code == ExitCode.Success)
                {
                    Directory.Delete(target, recursive: true);
                }
            }

            Assert.True(interrupted > 0, "no signal met the work");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void An_interrupted_replacement_leaves_the_old_folder_whole()
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Skip("signals are sent with kill");
        }

        string folder = Directory.CreateTempSubdirectory("torchao-int-").FullName;
        try
        {
            string model = Path.Combine(folder, "model");
            WriteModel(model);
            string target = Path.Combine(folder, "small");
            Directory.CreateDirectory(target);
            string old = Path.Combine(target, "old.txt");
            bool wasInterrupted = false;

            // A slow machine may not have begun, a fast one may be done: only a run that was interrupted says something.
            for (int delay = 600; delay <= 4200 && !wasInterrupted; delay += 600)
            {
                File.WriteAllText(old, "the old model");
                (int code, string error) = Interrupt(model, target, delay, "--force");
                wasInterrupted = error.Contains("interrupted; no file was changed", StringComparison.Ordinal);
                Assert.Equal(code == ExitCode.Success, !File.Exists(old));
                Assert.Equal(2, Directory.GetFileSystemEntries(folder).Length);
            }

            Assert.True(wasInterrupted, "no signal met the work");
            Assert.Equal("the old model", File.ReadAllText(old));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static (int Code, string Error) Interrupt(string model, string target, int delay, params string[] more)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "TorchAO.Cli.dll");
        var start = new ProcessStartInfo(
            Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet",
            [program, "quantize", "--quantize", "int4wo-128", "--model", model, "--output", target, .. more])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(delay))
        {
            using Process kill = Process.Start("kill", ["-INT", $"{process.Id}"]);
            kill.WaitForExit();
        }

        process.WaitForExit();
        _ = output.Result;
        return (process.ExitCode, error.Result);
    }

    private static void WriteModel(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""
            {"model_type": "llama", "hidden_size": {{Width}}, "intermediate_size": {{4 * Width}}, "num_hidden_layers": {{Layers}},
             "num_attention_heads": 16, "vocab_size": 512, "max_position_embeddings": 128, "tie_word_embeddings": true}
            """);
        var tensors = new List<TensorInfo> { Info("model.embed_tokens.weight", 512, Width), Info("model.norm.weight", Width) };
        for (int i = 0; i < Layers; i++)
        {
            string layer = $"model.layers.{i}.";
            tensors.AddRange(new[] { "q", "k", "v", "o" }.Select(name => Info($"{layer}self_attn.{name}_proj.weight", Width, Width)));
            tensors.Add(Info(layer + "mlp.gate_proj.weight", 4 * Width, Width));
            tensors.Add(Info(layer + "mlp.up_proj.weight", 4 * Width, Width));
            tensors.Add(Info(layer + "mlp.down_proj.weight", Width, 4 * Width));
            tensors.Add(Info(layer + "input_layernorm.weight", Width));
            tensors.Add(Info(layer + "post_attention_layernorm.weight", Width));
        }

        using var writer = new SafetensorsWriter(Path.Combine(folder, "model.safetensors"), tensors);
        foreach (TensorInfo info in tensors)
        {
            using Tensor values = rand([.. info.Shape]);
            writer.Write(info.Name, values);
        }

        writer.Commit();
    }

    private static TensorInfo Info(string name, params long[] shape) => new(name, ScalarType.Float32, shape);
}
