using TorchAO.Formats.Int4;
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
            Tensor codes = run.Input("w").sign().add(1).to_type(ScalarType.Byte);
            run.Expect("elem", BitStreamRows.Pack(codes, 2));
        }
        else
        {
            // Rows 2r and 2r + 1 share bytes, the first in the low half: our pairs of neighbours, turned.
            run.Expect("packed", NibblePacking.Pack(run.Input("x").t().contiguous()).t().contiguous());
        }
    }

    // The recorded call has scale 0.25 and zero point 7.
    private static void RunUInt4(GoldenRun run)
    {
        run.Expect("packed", BitStreamRows.Pack(run.Input("x"), 4));
        Tensor values = run.Input("f");
        var scheme = new AffineScheme(QuantizedType.Unsigned(4));
        using var qparams = new QParams(tensor(0.25f).reshape(1), tensor(7, dtype: ScalarType.Int32).reshape(1));
        Tensor codes = AffineQuantization.Quantize(values, values.shape, qparams, scheme);
        run.Expect("quantize_per_tensor_uint4", BitStreamRows.Pack(codes, 4));
        run.Expect("dequantize_per_tensor_uint4", AffineQuantization.Dequantize(codes, values.shape, qparams, scheme, ScalarType.Float32));
    }
}
