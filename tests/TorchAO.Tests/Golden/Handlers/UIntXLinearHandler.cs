using TorchAO.Configuration;
using TorchAO.Formats.UIntX;
using TorchAO.Modules;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>One linear layer in integers of a few bits: codes, shards, parameters, dequantized weight and outputs.</summary>
internal sealed class UIntXLinearHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => WeightOnly.HasConfig(recorded)
        && recorded.Text("config") == "UIntXWeightOnlyConfig" && recorded.Outputs.ContainsKey("w_q");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        QuantizeConfig config = WeightOnly.Config(recorded);
        using QuantizedLinear layer = WeightOnly.Layer(config, run.Input("weight"), run.Input("bias"));
        var weight = (UIntXTensor)layer.Weight;
        Tensor codes = weight.UnpackCodes();
        run.Expect("w_q", codes);
        run.Expect("w_dequant", weight.Dequantize());

        // HQQ's parameters are a column in torchao, one row a group; ours are one row a weight row.
        run.Expect("w_scale", weight.Scale.reshape(run.Recorded("w_scale").shape));
        run.Expect("w_zero_point", weight.ZeroPoint!.reshape(run.Recorded("w_zero_point").shape));
        ExpectShards(((UIntXWeightOnlyConfig)config).PackDim, weight, codes, run);

        using IDisposable noGradient = no_grad();
        run.Expect("y5", layer.call(run.Input("x5")));
    }

    // Along the other dimension the shards are those of the transposed codes.
    private static void ExpectShards(int packDim, UIntXTensor weight, Tensor codes, GoldenRun run)
    {
        Tensor packed = packDim == 0 ? ShardPacking.Pack(codes.t().contiguous(), weight.Bits) : weight.QData;
        long eighth = packed.size(1) / weight.Bits;
        long start = 0;
        foreach (int width in ShardPacking.Widths(weight.Bits))
        {
            Tensor shard = packed.narrow(1, start, eighth * width);
            run.Expect($"w_packed.int{width}_shard", (packDim == 0 ? shard.t() : shard).contiguous());
            start += eighth * width;
        }
    }
}
