using Xunit;

namespace TorchAO.Numerics.Tests.Goldens;

/// <summary>The codecs against what torchao and PyTorch made of the same numbers.</summary>
public sealed class CodecGoldenTests
{
    private static readonly GoldenFile AreaA = new("A");

    [Theory]
    [InlineData("float8_e4m3fn")]
    [InlineData("float8_e5m2")]
    public void Float8_casts_are_those_of_PyTorch(string dtype)
    {
        bool isE4M3 = dtype == "float8_e4m3fn";
        Func<float, byte> encode = isE4M3 ? FloatCodec<Float8E4M3>.Encode : FloatCodec<Float8E5M2>.Encode;
        Func<byte, float> decode = isE4M3 ? FloatCodec<Float8E4M3>.Decode : FloatCodec<Float8E5M2>.Decode;
        float[] values = Input($"A/float8_cast/{dtype}", "x");
        byte[] codes = Output($"A/float8_cast/{dtype}", "code");
        for (int i = 0; i < values.Length; i++)
        {
            AssertSame(codes[i], encode(values[i]), values[i], decode);
        }

        byte[] codesOfBrain = Output($"A/float8_cast/{dtype}", "code_of_bf16_bits");
        for (int i = 0; i < codesOfBrain.Length; i++)
        {
            float value = BFloat16.Decode((ushort)i);
            AssertSame(codesOfBrain[i], encode(value), value, decode);
        }

        float[] decoded = AreaA.Floats(GoldenFile.Key($"A/float8_cast/{dtype}", "outputs", "all_codes_decoded"));
        Assert.Equal(decoded, Enumerable.Range(0, 256).Select(code => decode((byte)code)));
    }

    [Theory]
    [InlineData(3, 2)]
    [InlineData(2, 3)]
    [InlineData(2, 1)]
    [InlineData(2, 2)]
    [InlineData(3, 1)]
    [InlineData(4, 3)]
    [InlineData(4, 2)]
    [InlineData(5, 2)]
    [InlineData(3, 4)]
    public void FloatX_casts_are_those_of_torchao(int exponentBits, int mantissaBits)
    {
        FloatX format = new(exponentBits, mantissaBits);
        string id = $"A/floatx_cast/e{exponentBits}m{mantissaBits}";
        float[] values = Input(id, "x");
        byte[] expected = Output(id, "code");
        byte[] codes = new byte[values.Length];
        format.Encode(values, codes);
        Assert.Equal(expected, codes);

        float[] decoded = AreaA.Floats(GoldenFile.Key(id, "outputs", "all_codes_decoded"));
        Assert.Equal(decoded, Enumerable.Range(0, decoded.Length).Select(code => format.Decode((byte)code)));
    }

    [Fact]
    public void NormalFloat4_is_that_of_torchao()
    {
        GoldenFile area = new("E");
        Assert.Equal(area.Floats(GoldenFile.Key("E/to_nf4/f32", "outputs", "nf4_lut")), NormalFloat4.Values.ToArray());
        float[] values = area.Floats(GoldenFile.Key("E/nearest", "inputs", "x"));
        byte[] codes = new byte[values.Length];
        NormalFloat4.Encode(values, codes);
        Assert.Equal(area.Bytes(GoldenFile.Key("E/nearest", "outputs", "code")), codes);
    }

    private static float[] Input(string id, string name) => AreaA.Floats(GoldenFile.Key(id, "inputs", name));

    private static byte[] Output(string id, string name) => AreaA.Bytes(GoldenFile.Key(id, "outputs", name));

    private static void AssertSame(byte expected, byte got, float value, Func<byte, float> decode)
    {
        bool bothNaN = float.IsNaN(decode(expected)) && float.IsNaN(decode(got));
        Assert.True(expected == got || bothNaN, $"{value:R}: {got}, expected {expected}");
    }
}
