namespace TorchAO.Numerics.Tests;

public sealed class Float4E2M1Tests() : NumberFormatTests<Float4E2M1>(new SlowDefinition(2, 1, finiteCodes: 8))
{
    private protected override byte Overflowing(float value) => DefineSaturating(value);
}
