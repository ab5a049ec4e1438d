namespace TorchAO.Numerics.Tests;

public sealed class Float6E3M2Tests() : NumberFormatTests<Float6E3M2>(new SlowDefinition(3, 2, finiteCodes: 32))
{
    private protected override byte Overflowing(float value) => DefineSaturating(value);
}
