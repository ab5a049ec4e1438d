namespace TorchAO.Numerics.Tests;

public sealed class Float6E2M3Tests() : NumberFormatTests<Float6E2M3>(new SlowDefinition(2, 3, finiteCodes: 32))
{
    private protected override byte Overflowing(float value) => DefineSaturating(value);
}
