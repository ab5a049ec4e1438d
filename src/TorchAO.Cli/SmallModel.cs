namespace TorchAO.Cli;

/// <summary>What is said of a model that is too small to be faster quantized.</summary>
internal static class SmallModel
{
    // Weights that the processor's caches hold are read as fast in float: what quantizing saves is their size alone.
    private const long BytesOfCaches = 32_000_000;

    /// <summary>Says where to see speed, below the report of a quantized model whose floating-point weights the caches hold.</summary>
    /// <param name="terminal">Where people read; nothing is said to machines.</param>
    /// <param name="floatBytes">The bytes of the weights before quantizing.</param>
    public static void WriteNote(Terminal terminal, long floatBytes)
    {
        if (!terminal.IsJson && floatBytes < BytesOfCaches)
        {
            terminal.Out.WriteLine("so small a model fits into the processor's caches and shows the size, not the speed; to see speed:");
            terminal.Out.WriteLine("torchao bench decode --shape 110m --quantize int4wo-32");
        }
    }
}
