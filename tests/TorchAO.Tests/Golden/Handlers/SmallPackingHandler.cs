using TorchAO.Numerics.BitPacking;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>The other packings of torchao's prototypes: uint4 tensors, the pairs of rows of HQQ's kernel, signs of BitNet.</summary>
internal sealed class SmallPackingHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => recorded.Area == "I"
        && (recorded.Call.StartsWith("uint4_layout.pack_uint4", StringComparison.Ordinal)
            || recorded.Call.StartsWith("prototype.hqq.pack_2xint4", StringComparison.Ordinal)
            || recorded.Call.StartsWith("prototype.dtypes.BitnetTensor", StringComparison.Ordinal));

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        if (recorded.Inputs.ContainsKey("f"))
        {
            RunUInt4(run);
        }
        else if (recorded.Inputs.ContainsKey("w"))
        {
            run.Expect("elem", TernaryPacking.Pack(TernaryQuantization.Signs(run.Input("w"))));
        }
        else
        {
            run.Expect("packed", RowPairPacking.Pack(run.Input("x")));
        }
    }

    // The recorded call has scale 0.25 and zero point 7.
    private static void RunUInt4(GoldenRun run)
    {
        Tensor x = run.Input("x");
        byte[] packed = new byte[Int4Packing.PackedLength(checked((int)x.numel()))];
        Int4Packing.Pack(x.contiguous().data<byte>().ToArray(), packed, NibbleOrder.HighFirst);
        run.Expect("packed", tensor(packed).reshape(x.size(0), -1));
        Tensor values = run.Input("f");
        var scheme = new AffineScheme(QuantizedType.Unsigned(4));
        using var qparams = new QParams(tensor(0.25f).reshape(1), tensor(7, dtype: ScalarType.Int32).reshape(1));
        Tensor codes = AffineQuantization.Quantize(values, values.shape, qparams, scheme);
        run.Expect("quantize_per_tensor_uint4", BitStreamRows.Pack(codes, 4));
        run.Expect("dequantize_per_tensor_uint4", AffineQuantization.Dequantize(codes, values.shape, qparams, scheme, ScalarType.Float32));
    }
}
