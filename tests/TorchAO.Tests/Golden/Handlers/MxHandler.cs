using TorchAO.Formats.Mx;
using TorchAO.Modules;
using TorchAO.Numerics;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>MX blocks: scales, codes and values, alone and as the weight of an inference layer.</summary>
internal sealed class MxHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "D" && (recorded.Calls("to_mx") || recorded.Calls("MXInferenceLinear"));

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        MxElement element = MxElement.All.Single(candidate => candidate.Name == recorded.Text("elem_dtype"));
        if (recorded.Calls("to_mx"))
        {
            RunBlocks(recorded, run, element);
            return;
        }

        var config = new MxWeightOnlyConfig { ElementType = element.Type };
        using QuantizedLinear layer = WeightOnly.Layer(config, run.Input("weight"), run.Input("bias"));
        var weight = (MxTensor)layer.Weight;
        Tensor codes = BitStreamRows.Unpack(weight.QData, element.Bits, weight.Shape[1]);
        run.Expect("w_scale_e8m0", weight.Scale.flatten());
        run.Expect("w_data", AsTorchao(codes, element));
        using IDisposable noGradient = no_grad();
        run.Expect("y", layer.call(run.Input("x")));
    }

    private static void RunBlocks(GoldenCase recorded, GoldenRun run, MxElement element)
    {
        Tensor x = run.Input("x");
        ScaleRounding rounding = recorded.Text("scaling_mode") switch
        {
            "FLOOR" => ScaleRounding.Floor,
            "CEIL" => ScaleRounding.Ceiling,
            "EVEN" => ScaleRounding.Even,
            string other => throw new NotSupportedException($"a scaling mode that is not known: {other}"),
        };
        Tensor scale = MxQuantization.ChooseScale(x, element.Type, recorded.Int("block_size"), rounding);
        Tensor codes = MxQuantization.Quantize(x, scale, element.Type);
        run.Expect("scale_e8m0", scale.flatten());
        run.Expect("data", AsTorchao(codes, element));
        run.Expect("dequant", MxQuantization.Dequantize(codes, scale, element.Type, x.dtype));
    }

    // torchao: float8 as such, six bits in a byte each, four bits two a byte.
    private static Tensor AsTorchao(Tensor codes, MxElement element)
    {
        if (element.Bits != 8)
        {
            return element.Bits == 4 ? BitStreamRows.Pack(codes, 4) : codes;
        }

        Tensor typed = empty(codes.shape, dtype: element.Type == MxElementType.Float8E4M3
            ? ScalarTypes.Float8E4M3
            : ScalarTypes.Float8E5M2);
        codes.bytes.CopyTo(typed.bytes);
        return typed;
    }
}
