using TorchAO.Peers;

const string Linear = "linear", EndToEnd = "end-to-end";
const string Project = "dotnet run -c Release --project bench/TorchAO.Peers --";
string command = $"{Project} {string.Join(' ', args)}";
switch (args)
{
    case [Linear, string file, ..]:
        Write(file, LinearPage.Measure(LinearOptions.Parse(args.AsSpan(2)), command));
        return 0;
    case [EndToEnd, string file, ..]:
        Write(file, EndToEndPage.Measure(EndToEndOptions.Parse(args.AsSpan(2)), command));
        return 0;
    default:
        Console.Error.WriteLine($"usage: {Project} {Linear} FILE [--shapes NxK,...] [--rows M,...] [--rounds R] [--only NAME,...]");
        Console.Error.WriteLine($"       {Project} {EndToEnd} FILE [--models NAME,...] [--prompt P] [--new T] [--rounds R]");
        return 2;
}

static void Write(string file, string page)
{
    Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
    File.WriteAllText(file, page);
    Console.Write(page);
}
