using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>Rotates pairs of features by an angle that grows with the position (Su et al. 2021, arXiv:2104.09864).</summary>
/// <remarks>Pairs are the halves of a head, as in Hugging Face checkpoints. Tables are float32 and follow the device of what they rotate.</remarks>
internal sealed class RotaryEmbedding : IDisposable
{
    private readonly int positions;
    private readonly double[] frequencies;
    private Tensor? cosine;
    private Tensor? sine;

    public RotaryEmbedding(LlamaConfig config)
    {
        positions = config.MaxPositions;
        frequencies = [.. Enumerable.Range(0, config.HeadSize / 2).Select(i =>
        {
            double frequency = Math.Pow(config.RopeTheta, -2.0 * i / config.HeadSize);
            return config.RopeScaling?.Apply(frequency) ?? frequency;
        })];
    }

    /// <summary>Gets the cosines and sines of some positions, each <c>[count, head]</c>, views of the tables.</summary>
    public (Tensor Cosine, Tensor Sine) At(long position, long count, Device device)
    {
        if (cosine is null || cosine.device_type != device.type || cosine.device_index != device.index)
        {
            Dispose();
            float[] angles = new float[positions * frequencies.Length * 2];
            for (int p = 0, i = 0; p < positions; p++)
            {
                for (int feature = 0; feature < 2 * frequencies.Length; feature++, i++)
                {
                    angles[i] = (float)(p * frequencies[feature % frequencies.Length]);
                }
            }

            using Tensor table = tensor(angles, [positions, 2 * frequencies.Length]);
            using Tensor placed = table.to(device);
            cosine = placed.cos().DetachFromDisposeScope();
            sine = placed.sin().DetachFromDisposeScope();
        }

        return (cosine.narrow(0, position, count), sine!.narrow(0, position, count));
    }

    /// <summary>Rotates heads <c>[B, H, T, D]</c> by tables <c>[T, D]</c>, in float32. The caller disposes the result.</summary>
    public static Tensor Rotate(Tensor heads, Tensor cosine, Tensor sine)
    {
        long half = heads.size(-1) / 2;
        using DisposeScope scope = NewDisposeScope();
        Tensor wide = heads.to(ScalarType.Float32);
        Tensor turned = cat([wide.narrow(-1, half, half).neg(), wide.narrow(-1, 0, half)], -1);
        Tensor rotated = wide.mul(cosine).addcmul_(turned, sine, 1);
        return rotated.to(heads.dtype).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        cosine?.Dispose();
        sine?.Dispose();
    }
}
