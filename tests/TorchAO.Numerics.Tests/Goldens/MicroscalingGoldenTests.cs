using TorchAO.Numerics.BitPacking;
using Xunit;

namespace TorchAO.Numerics.Tests.Goldens;

/// <summary>Block scales and the elements under them against torchao's MX casts of float32.</summary>
public sealed class MicroscalingGoldenTests
{
    private const int Block = 32;
    private static readonly GoldenFile AreaD = new("D");

    public static TheoryData<string, string, string> Cases
    {
        get
        {
            TheoryData<string, string, string> cases = [];
            foreach (string area in new[] { "to_mx/f32", "edge/f32", "nan" })
            {
                foreach (string element in new[] { "e4m3", "e5m2", "fp6_e2m3", "fp6_e3m2", "fp4_e2m1" })
                {
                    foreach (string mode in new[] { "FLOOR", "CEIL", "EVEN" })
                    {
                        cases.Add(area, element, mode);
                    }
                }
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Scales_and_elements_are_those_of_torchao(string area, string element, string mode)
    {
        ScaleRounding rounding = mode switch
        {
            "FLOOR" => ScaleRounding.Floor,
            "CEIL" => ScaleRounding.Ceiling,
            _ => ScaleRounding.Even,
        };
        string id = $"D/{area}/{element}/{mode}";
        switch (element)
        {
            case "e4m3":
                Compare<Float8E4M3>(id, rounding);
                break;
            case "e5m2":
                Compare<Float8E5M2>(id, rounding);
                break;
            case "fp6_e2m3":
                Compare<Float6E2M3>(id, rounding);
                break;
            case "fp6_e3m2":
                Compare<Float6E3M2>(id, rounding);
                break;
            default:
                Compare<Float4E2M1>(id, rounding);
                break;
        }
    }

    private static void Compare<TElement>(string id, ScaleRounding rounding)
        where TElement : struct, INumberFormat
    {
        float[] values = AreaD.Floats(GoldenFile.Key(id, "inputs", "x"));
        byte[] scales = AreaD.Bytes(GoldenFile.Key(id, "outputs", "scale_e8m0"));
        byte[] data = AreaD.Bytes(GoldenFile.Key(id, "outputs", "data"));
        byte[] codes = new byte[values.Length];
        if (FloatCodec<TElement>.Bits == 4)
        {
            Int4Packing.Unpack(data, codes, NibbleOrder.HighFirst);
        }
        else
        {
            codes = data;
        }

        for (int block = 0; block < scales.Length; block++)
        {
            ReadOnlySpan<float> elements = values.AsSpan(block * Block, Block);
            float maximum = 0;
            foreach (float element in elements)
            {
                maximum = MathF.Max(maximum, MathF.Abs(element));
            }

            byte scale = ExponentE8M0.FromBlockMaximum<TElement>(maximum, rounding);
            Assert.True(scales[block] == scale, $"{id}, block {block}, maximum {maximum:R}: {scale}, not {scales[block]}");

            // The index itself calls the elements of such a block meaningless.
            if (scale == ExponentE8M0.NaN && !FloatCodec<TElement>.HasNaN)
            {
                continue;
            }

            // torchao divides by at least 2^-126.
            float divisor = MathF.Max(ExponentE8M0.Decode(scale), ExponentE8M0.Decode(1));
            for (int i = 0; i < Block; i++)
            {
                byte code = FloatCodec<TElement>.EncodeSaturating(elements[i] / divisor);
                byte expected = codes[block * Block + i];
                bool bothNaN = float.IsNaN(FloatCodec<TElement>.Decode(code)) && float.IsNaN(FloatCodec<TElement>.Decode(expected));
                Assert.True(expected == code || bothNaN, $"{id}, {elements[i]:R} / {divisor:R}: {code}, not {expected}");
            }
        }
    }
}
