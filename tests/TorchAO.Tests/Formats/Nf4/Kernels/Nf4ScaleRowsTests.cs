using TorchAO.Formats.Nf4;
using TorchAO.Formats.Nf4.Kernels;
using TorchAO.Primitives.Kernels;
using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.Nf4.Kernels;

public sealed unsafe class Nf4ScaleRowsTests
{
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void Scales_decoded_row_by_row_are_those_of_the_tensor_arithmetic(ScalarType type)
    {
        foreach ((long rows, long columns, long scaler) in ((long, long, long)[])[(5, 128, 256), (3, 64, 256), (7, 64 * 43, 4), (2, 64 * 33, 33)])
        {
            using DisposeScope scope = NewDisposeScope();
            random.manual_seed(columns);
            Tensor weight = (randn(rows, columns) * exp(randn(rows, 1))).to_type(type);
            var grid = new Nf4Grid(64, scaler);
            using QParams qparams = grid.ChooseQParams(weight);
            using var packed = (Nf4Tensor)grid.Pack(grid.Quantize(weight, qparams), qparams, type);
            float[] expected = packed.DequantizeScale().to_type(ScalarType.Float32).data<float>().ToArray();

            float[] decoded = type switch
            {
                ScalarType.Float32 => Decode<Float32Values>(packed),
                ScalarType.BFloat16 => Decode<BFloat16Values>(packed),
                _ => Decode<Float16Values>(packed),
            };

            Assert.Equal(expected, decoded);
        }
    }

    private static float[] Decode<TLanes>(Nf4Tensor weight)
        where TLanes : struct, IFloatLanes
    {
        using Tensor factor = weight.Factor.to(ScalarType.Float32);
        using Tensor mean = weight.Mean.to(ScalarType.Float32);
        var rows = new Nf4ScaleRows<TLanes>(weight.Scale, factor, mean.item<float>());
        int blocks = (int)weight.Scale.size(1);
        List<float> all = [];
        float* scratch = stackalloc float[rows.Scratch];
        for (long row = 0; row < weight.Shape[0]; row++)
        {
            all.AddRange(new ReadOnlySpan<float>(rows.Row(row, scratch), blocks));
        }

        return [.. all];
    }
}
