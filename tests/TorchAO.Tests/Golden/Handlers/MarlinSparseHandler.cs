using TorchAO.Formats.Int4;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>A weight pruned to 2:4 under the int4 config with the sparse Marlin layout: codes, scales, packed tensors.</summary>
internal sealed class MarlinSparseHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => recorded.Area == "B" && recorded.Outputs.ContainsKey("packed.meta");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        // torchao's layout prunes: the two smallest of four are zeroed, of equals the later one.
        Tensor weight = run.Input("weight");
        Tensor quads = weight.reshape(-1, 4);
        Tensor largest = quads.abs().sort(dim: 1, descending: true, stable: true).Indices.narrow(1, 0, 2);
        Tensor mask = zeros_like(quads).scatter(1, largest, ones_like(quads));
        Tensor pruned = (quads * mask).reshape(weight.shape);

        var config = new Int4WeightOnlyConfig { GroupSize = recorded.Int("group_size"), MappingType = MappingType.Symmetric };
        using var quantized = (Int4Tensor)WeightOnly.Quantize(config, pruned);
        Tensor codes = quantized.UnpackCodes();
        run.Expect("q", codes);
        run.Expect("scale", quantized.Scale);
        run.Expect("zero_point", full_like(quantized.Scale, 8, dtype: ScalarType.BFloat16));
        using MarlinSparseWeight packed = MarlinSparsePacking.Pack(codes, quantized.Scale);
        run.Expect("packed.int_data", packed.Codes);
        run.Expect("packed.scale", packed.Scale);
        run.Expect("packed.meta", packed.Metadata);
    }
}
