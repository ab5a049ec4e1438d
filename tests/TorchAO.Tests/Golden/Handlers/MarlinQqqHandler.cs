using System.Text.Json;
using TorchAO.Formats.Int4;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>A linear layer under the config with the Marlin-QQQ layout: codes, scales in two levels, packed tensors.</summary>
internal sealed class MarlinQqqHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "B" && recorded.Has("weight_tensor") && recorded.Text("weight_tensor") == "MarlinQQQTensor";

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        JsonElement size = recorded.Params.GetProperty("config_args").GetProperty("group_size");
        var config = new Int8DynamicActivationInt4WeightConfig
        {
            GroupSize = size.GetInt64(),
            ActMappingType = recorded.Text("activation_quant") == "_int8_symm_per_token_quant"
                ? MappingType.Symmetric
                : MappingType.Asymmetric,
            UseQqq = true,
        };
        using var weight = (Int4Tensor)WeightOnly.Quantize(config, run.Input("weight"));
        Tensor codes = weight.UnpackCodes().to(ScalarType.Int32);
        if (weight.ChannelScale is { } channelScale)
        {
            run.Expect("w_q", codes);
            run.Expect("w_dequant", weight.Dequantize());
            ExpectScales(codes, weight.GroupScale, channelScale, run);
        }
        else
        {
            // torchao forgets the sign of these codes when it takes them out of the packed words: -1 becomes 15.
            Tensor signed = codes - 8;
            run.Expect("w_q", signed.bitwise_and(tensor(15)));
            run.Differs("w_dequant", weight.Dequantize());
            ExpectScales(signed, empty(0, ScalarType.Float16), weight.Scale.to(ScalarType.Float32) / 16, run);
        }
    }

    // torchao's plain form has the scales of channels where others have zero points.
    private static void ExpectScales(Tensor codes, Tensor groupScale, Tensor channelScale, GoldenRun run)
    {
        run.Expect("w_scale", groupScale);
        run.Expect("w_zero_point", channelScale);
        using MarlinQqqWeight packed = MarlinQqqPacking.Pack(codes, groupScale, channelScale);
        run.Expect("w_packed.int_data", packed.Codes);
        run.Expect("w_packed.s_group", packed.GroupScale);
        run.Expect("w_packed.s_channel", packed.ChannelScale);
    }
}
