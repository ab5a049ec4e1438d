using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Errors;

/// <summary>Mistakes in the arithmetic under the formats.</summary>
internal static class PrimitiveMistakes
{
    private const string Section = "Primitives";

    private static readonly AffineScheme Int8 = new(QuantizedType.Int8);

    public static Mistake[] All { get; } =
    [
        New("A block does not divide the tensor", x => AffineQuantization.ChooseQParams(x, [1, 7], Int8)),
        New("A block size has too few entries", x => AffineQuantization.ChooseQParams(x, [8], Int8)),
        New("Integers are quantized", x => AffineQuantization.ChooseQParams(x.to_type(ScalarType.Int32), [1, 8], Int8)),
        New("A scheme contradicts itself", x => AffineQuantization.ChooseQParams(x, [1, 8], Int8 with { PreserveZero = false })),
        New("A zero point is given to a grid without", x => AffineQuantization.Quantize(
            x, [1, 8], AffineQuantization.ChooseQParams(x, [1, 8], Int8), Int8 with { Domain = ZeroPointDomain.None })),
        New("Scales were chosen for other blocks", x => AffineQuantization.Quantize(
            x, [1, 8], AffineQuantization.ChooseQParams(x, [1, 4], Int8), Int8)),
        New("Codes have another type", x => AffineQuantization.Dequantize(
            zeros([4, 8], dtype: ScalarType.Byte), [1, 8], AffineQuantization.ChooseQParams(x, [1, 8], Int8), Int8)),
        New("A range of codes does not fit the type", _ => QuantizedType.Int8.Within(-129, 127)),
        New("A type of codes does not exist", _ => QuantizedType.Named("int64")),
        New("Smallest and largest values differ in shape", x => AffineQuantization.ChooseQParamsFromRange(x, x[0], Int8)),
    ];

    private static Mistake New(string title, Action<Tensor> act) => new(Section, title, () =>
    {
        using DisposeScope scope = NewDisposeScope();
        return Answer.Of(Assert.Throws<QuantizationException>(() => act(ones(4, 8))));
    });
}
