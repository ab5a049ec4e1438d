using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using TorchAO.Benchmarks;

if (args is ["linear", _, _, ..])
{
    InterleavedLinear.Run(args[1..]);
    return;
}

if (args is ["quantize", _, ..])
{
    QuantizeTable.Run(args[1..]);
    return;
}

if (args is ["pool", string rivals])
{
    PoolTable.Run(int.Parse(rivals, CultureInfo.InvariantCulture));
    return;
}

if (args is ["autoquant", _, _, ..])
{
    AutoQuantTable.Run(args[1..]);
    return;
}

const string Gemv = "gemv";
if (args is [Gemv, string file])
{
    string page = GemvTable.Measure($"dotnet run -c Release --project bench/TorchAO.Benchmarks -- {Gemv} {file}");
    Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
    File.WriteAllText(file, page);
    Console.Write(page);
    return;
}

const string DecodeStep = "decode-step";
if (args is [DecodeStep, string target, string layers, string histories, _, ..])
{
    string command = $"dotnet run -c Release --project bench/TorchAO.Benchmarks -- {string.Join(' ', args)}";
    string table = DecodeStepTable.Measure(
        command, args[4..], int.Parse(layers, CultureInfo.InvariantCulture), [.. histories.Split(',').Select(text => int.Parse(text, CultureInfo.InvariantCulture))]);
    Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(target))!);
    File.WriteAllText(target, table);
    Console.Write(table);
    return;
}

const string CudaGemm = "cuda-gemm";
if (args is [CudaGemm, string output, string commit, string rows, _, ..])
{
    string command = $"TorchAO.Benchmarks {string.Join(' ', args)}";
    string table = CudaGemmTable.Measure(
        command, commit, [.. rows.Split(',').Select(text => long.Parse(text, CultureInfo.InvariantCulture))],
        [.. args[4..].Select(text => text.Split('x')).Select(sides => (
            long.Parse(sides[0], CultureInfo.InvariantCulture), long.Parse(sides[1], CultureInfo.InvariantCulture)))]);
    Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(output))!);
    File.WriteAllText(output, table);
    Console.Write(table);
    return;
}

const string CudaQuantize = "cuda-quantize";
if (args is [CudaQuantize, string quantized, string revision, _, ..])
{
    string table = CudaQuantizeTable.Measure(
        $"TorchAO.Benchmarks {string.Join(' ', args)}", revision, args[3..].Select(text => text.Split('x')).Select(sides => (
            long.Parse(sides[0], CultureInfo.InvariantCulture), long.Parse(sides[1], CultureInfo.InvariantCulture))));
    Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(quantized))!);
    File.WriteAllText(quantized, table);
    Console.Write(table);
    return;
}

// In this process, because a generated one would not carry the native boot.
IConfig config = DefaultConfig.Instance
    .AddJob(Job.Default.WithToolchain(InProcessEmitToolchain.Instance))
    .WithSummaryStyle(SummaryStyle.Default.WithMaxParameterColumnWidth(60))
    .AddColumn(StatisticColumn.Median, new RateColumn(isShare: false), new RateColumn(isShare: true));
Console.WriteLine($"// memory read at {RateColumn.ReadBandwidth:0.0} GB/s");
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, config);
