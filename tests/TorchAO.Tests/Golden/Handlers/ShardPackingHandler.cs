using TorchAO.Formats.UIntX;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Codes of 1 to 7 bits packed in shards along either dimension.</summary>
internal sealed class ShardPackingHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => recorded.Area == "I" && recorded.Calls("dtypes.uintx.bitpacking.pack");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        int bits = recorded.Int("elem_size");
        bool isTransposed = recorded.Int("dim") == 0;
        Tensor codes = run.Input("x");
        Tensor rows = isTransposed ? codes.t().contiguous() : codes;
        Tensor packed = ShardPacking.Pack(rows, bits);
        long start = 0;
        int[] widths = ShardPacking.Widths(bits).ToArray();
        for (int i = 0; i < widths.Length; i++)
        {
            Tensor shard = packed.narrow(1, start, rows.size(1) / 8 * widths[i]);
            run.Expect($"shard{i}", (isTransposed ? shard.t() : shard).contiguous());
            start += shard.size(1);
        }
    }
}
