using TorchAO.Primitives;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Small floats: scales, codes, values, tensor-core packing, and the casts alone.</summary>
internal sealed class FloatxHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => recorded.Area == "A" && recorded.Has("ebits");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        Tensor x = run.Input("x");
        var type = new FloatxType(recorded.Int("ebits"), recorded.Int("mbits"));
        if (run.HasOutput("all_codes_decoded"))
        {
            run.Expect("code", FloatxQuantization.Encode(x, type));
            Tensor every = arange(1 << type.Bits).to_type(ScalarType.Byte);
            run.Expect("all_codes_decoded", FloatxQuantization.Decode(every, type));
            return;
        }

        Tensor scale = FloatxQuantization.ChooseScale(x, type);
        Tensor codes = FloatxQuantization.Quantize(x, scale, type);
        run.Expect("scale", scale);
        run.Expect("q_unpacked", codes);
        run.Expect("dequant", FloatxQuantization.Dequantize(codes, scale, type, x.dtype));
        if (recorded.ExpectedError is not null)
        {
            run.Refuses(() => FloatxTensorCorePacking.Pack(codes, type.Bits));
        }
        else if (run.HasOutput("packed_tc"))
        {
            Tensor packed = FloatxTensorCorePacking.Pack(codes, type.Bits);
            run.Expect("packed_tc", packed);
            Assert.True(FloatxTensorCorePacking.Unpack(packed, type.Bits).equal(codes).all().item<bool>());
        }
    }
}
