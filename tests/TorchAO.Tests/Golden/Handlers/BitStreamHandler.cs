using System.Globalization;
using System.Text.RegularExpressions;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>torchao's <c>pack_uint2</c> to <c>pack_uint7</c>: codes without gaps, the first in the highest bits.</summary>
internal sealed partial class BitStreamHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => recorded.Area == "I" && Call().IsMatch(recorded.Call);

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        int bits = int.Parse(Call().Match(recorded.Call).Groups[1].Value, CultureInfo.InvariantCulture);
        Tensor x = run.Input("x");
        Tensor rows = x.reshape(-1, x.size(-1));
        Tensor packed = BitStreamRows.Pack(rows, bits);
        run.Expect("packed", packed.reshape([.. x.shape[..^1], packed.size(1)]));
        run.Expect("unpacked", BitStreamRows.Unpack(packed, bits, rows.size(1)).reshape(x.shape));
    }

    [GeneratedRegex(@"^prototype\.dtypes\.(?:uintgen|uint2)\.pack_uint([2-7])\b")]
    private static partial Regex Call();
}
