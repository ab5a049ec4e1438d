using TorchAO.Formats.Codebook;
using TorchAO.Modules;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Codebooks: scales, the fitted table, codes and values; a linear layer.</summary>
internal sealed class CodebookHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "I" && recorded.Call.Contains("codebook", StringComparison.Ordinal);

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        if (!recorded.Has("block_size"))
        {
            var config = new CodebookWeightOnlyConfig { ScaleBlockSize = 64 };
            using QuantizedLinear layer = WeightOnly.Layer(config, run.Input("weight"), run.Input("bias"));
            using IDisposable noGradient = no_grad();
            run.Expect("y", layer.call(run.Input("x")));
            return;
        }

        Tensor weight = run.Input("w");
        long[] block = recorded.Longs("block_size");
        int bits = int.Parse(recorded.Text("code_dtype")[4..], System.Globalization.CultureInfo.InvariantCulture);
        Tensor scale = CodebookQuantization.ChooseScale(weight, block.All(size => size == 1), recorded.Int("scale_block_size"));
        run.Expect("scales", scale.unsqueeze(2));
        Tensor vectors = CodebookQuantization.Vectors(weight, scale, block[0], block[1]);
        Tensor fitted = KMeans.Fit(vectors, 1 << bits);
        run.Expect("codebook", fitted.reshape(run.Recorded("codebook").shape));

        // Codes and values are those of the recorded table.
        Tensor table = run.Recorded("codebook").reshape(fitted.shape);
        Tensor codes = CodebookQuantization.Nearest(vectors, table).reshape(weight.size(0) / block[0], -1);
        run.Expect("codes", codes);
        run.Expect("dequant", CodebookQuantization.Dequantize(codes, table, scale, block[0]));
    }
}
