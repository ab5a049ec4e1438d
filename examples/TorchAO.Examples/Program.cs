using TorchAO.Examples;

IExample[] examples = [new KeywordSpotting(), new VoiceActivity(), new FashionVision()];
IExample[] asked = args.Length == 0 ? examples : [.. examples.Where(example => args.Contains(example.Name))];
if (args.Any(name => examples.All(example => example.Name != name)))
{
    Console.Error.WriteLine($"expected any of {string.Join(", ", examples.Select(example => example.Name))}, or nothing for all");
    return 2;
}

foreach (IExample example in asked)
{
    Console.WriteLine(Comparison.Run(example));
}

return 0;
