using TorchAO.Peers;

const string Linear = "linear";
const string Project = "dotnet run -c Release --project bench/TorchAO.Peers --";
if (args is [Linear, string file, ..])
{
    LinearOptions options = LinearOptions.Parse(args.AsSpan(2));
    Write(file, LinearPage.Measure(options, $"{Project} {string.Join(' ', args)}"));
    return 0;
}

Console.Error.WriteLine($"usage: {Project} {Linear} FILE [--shapes NxK,...] [--rows M,...] [--rounds R] [--only NAME,...]");
return 2;

static void Write(string file, string page)
{
    Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
    File.WriteAllText(file, page);
    Console.Write(page);
}
