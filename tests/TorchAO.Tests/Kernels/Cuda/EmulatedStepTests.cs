using System.Runtime.InteropServices;
using TorchAO.Kernels.Cuda;
using TorchAO.KvCache;
using TorchAO.Runtime.Memory;
using TorchAO.Tests.Kernels.Cuda.Emulation;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda;

/// <summary>A whole decode step in one launch, lane by lane on the CPU: its rings, its barriers, its phases, on machines without a GPU.</summary>
public sealed class EmulatedStepTests
{
    private const int Warps = 8, Stages = 4, Vocabulary = 41; // a head whose last tile is not whole

    // Ranges of keys of a head at most: one block computes them one after the other, and puts them together.
    private const int Splits = 2;

    // Sums differ in their last bits, so that now and then a number that is stored in 16 bits becomes its neighbour.
    private const double Most = 1e-3;

    [Theory]
    [InlineData(StepWeightKind.Int4Groups32, 256, 512, 8, 256, 1, 16, 37)]
    [InlineData(StepWeightKind.Int4Groups32, 256, 384, 4, 128, 1, 8, 5)]
    [InlineData(StepWeightKind.Int4Codes, 320, 384, 4, 128, 2, 0, 0)]
    [InlineData(StepWeightKind.Int8Rows, 320, 384, 4, 128, 1, 0, 600)]
    [InlineData(StepWeightKind.Float8E4M3, 320, 384, 4, 128, 1, 0, 70)]
    public void A_step_of_two_layers_is_that_of_the_decoded_weights(
        StepWeightKind kind, int hidden, int inner, int heads, int row, int tiles, int piece, int position)
    {
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator(7);
        var sizes = new StepSizes(hidden, inner, heads, 2, 32, Vocabulary)
        {
            HasHeadNorm = kind == StepWeightKind.Float8E4M3,
            HasBias = kind == StepWeightKind.Int8Rows,
        };
        var model = new StepModel(
            sizes, [kind, kind, kind], KeyValueFormat.Float, position + 3, CPU, generator,
            shape => new CudaAttentionScratch(
                full([2, Splits, heads / 2, shape.HeadSize + 2], float.NaN), zeros([2], dtype: ScalarType.Int32), Splits));
        StepVariant variant = Variant(model, row, tiles);
        Assert.Equal(piece, variant.Product.Piece);
        Tensor arrived = zeros([1], dtype: ScalarType.Int32);

        model.Begin(position);
        Run(model, variant, arrived);

        StepModel.Reference expected = model.Compute(position);
        Assert.InRange(StepModel.Error(model.Hidden, expected.Hidden), 0, Most);
        Assert.InRange(StepModel.Error(model.Scores, expected.Scores!), 0, Most);
        foreach ((Tensor actual, Tensor exact) in model.Rows(position).Zip(expected.Rows))
        {
            Assert.InRange(StepModel.Error(actual, exact), 0, Most);
        }

        Assert.False(model.HasTouchedOtherRows(position));
        Assert.Equal(0, arrived.item<int>());
        Assert.Equal(0, model.Arrived.sum().item<long>());

        IReadOnlyList<Tensor> before = model.Left();
        model.Begin(position);
        Run(model, variant, arrived);
        Assert.All(before.Zip(model.Left()), pair => Assert.True(StepModel.HaveSameBits(pair.First, pair.Second)));
    }

    private static StepVariant Variant(StepModel model, int row, int tiles)
    {
        CudaWeight weight = model.Products.First().Weights[0];
        CudaNumber scale = weight.ScaleNumber!.Value;
        int piece = model.Products.Min(product => GemvVariant.PieceOf(
            weight.Code, scale, weight.GroupSize, weight.ZeroKind, product.Weights[0].InFeatures, row));
        var product = new GemvVariant(
            CudaNumber.BFloat16, weight.Code, scale, weight.GroupSize, weight.ZeroKind, GemvRounding.None, IsSingle: true,
            new GemvBlocking(Warps, Stages, tiles, row, 1), piece);
        return new StepVariant(product, Flight: 2, model.Parts.OfType<CudaAttention>().First().Options);
    }

    private static void Run(StepModel model, StepVariant variant, Tensor arrived)
    {
        var phases = new StepPhase[model.Parts.Count];
        for (int i = 0; i < phases.Length; i++)
        {
            if (model.Parts[i] is GemvProduct product)
            {
                phases[i].Product = GemvArguments.Of(
                    product, variant.Product.RowsOfTile, variant.Product.InputPitch(product.Weights[0].InFeatures), 0, 1);
            }
            else
            {
                phases[i].Kind = StepPhaseKind.Attention;
                phases[i].Attention = ((CudaAttention)model.Parts[i]).Arguments;
            }
        }

        using Tensor described = tensor(MemoryMarshal.AsBytes<StepPhase>(phases).ToArray(), ScalarType.Byte);
        var arguments = new StepArguments
        {
            Phases = TensorMemory.DeviceAddress(described),
            Arrived = TensorMemory.DeviceAddress(arrived),
            Position = TensorMemory.DeviceAddress(model.Position),
            Count = phases.Length,
            Splits = Splits,
        };
        int longest = model.Products.Max(product => product.Weights[0].InFeatures);
        int attentionBytes = model.Parts.OfType<CudaAttention>().First().RoomBytes(Warps);
        EmulatedKernel.Compile("src/TorchAO/Kernels/Cuda/step.cu", "step", variant.Options())
            .Run(arguments, 1, variant.Threads, variant.SharedBytes(longest, attentionBytes));
    }
}
