using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Modules;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>One linear layer under a weight-only config: codes, parameters, dequantized weight and outputs.</summary>
internal sealed class WeightOnlyLinearHandler : IGoldenHandler
{
    // torchao pads both edges to multiples of these before it quantizes for the tinygemm layout.
    private const long RowMultiple = 8;
    private const long ColumnMultiple = 1024;

    public bool Handles(GoldenCase recorded) => WeightOnly.HasConfig(recorded) && recorded.Outputs.ContainsKey("w_q")
        && recorded.Text("config") != "UIntXWeightOnlyConfig" && !WeightOnly.MistakesZeroPoints(recorded);

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        QuantizeConfig config = WeightOnly.Config(recorded);
        Tensor weight = run.Input("weight");
        Tensor? bias = recorded.Inputs.ContainsKey("bias") ? run.Input("bias") : null;
        using QuantizedLinear layer = WeightOnly.UsesHqq(recorded)
            ? WeightOnly.Layer(Solve(config, weight), bias)
            : WeightOnly.Layer(config, weight, bias);
        run.Expect("w_dequant", layer.Weight.Dequantize());
        if (layer.Weight is Int4Tensor int4)
        {
            run.Expect("w_q", int4.UnpackCodes());
            ExpectParameters(config, weight, int4, run);
        }
        else
        {
            Tensor scale = layer.Weight.Components[1].Value;
            Tensor shaped = layer.Weight.GroupSize == layer.Weight.Shape[1] ? scale.squeeze(1) : scale;
            run.Expect("w_q", layer.Weight.Components[0].Value);
            run.Expect("w_scale", shaped);

            // torchao stores a zero point of zeros for int8; a symmetric tensor of ours has none.
            run.Expect("w_zero_point", zeros(shaped.shape, dtype: ScalarType.Int64));
        }

        using IDisposable noGradient = no_grad();
        foreach (string output in recorded.Outputs.Keys.Where(name => name.StartsWith('y')))
        {
            run.Expect(output, layer.call(run.Input("x" + output[1..])));
        }
    }

    private static void ExpectParameters(QuantizeConfig config, Tensor weight, Int4Tensor quantized, GoldenRun run)
    {
        if (!run.HasOutput("w_packed.packed_weight") || run.Recorded("w_packed.packed_weight").dtype != ScalarType.Int32)
        {
            run.Expect("w_scale", quantized.Scale);
            run.Expect("w_zero_point", quantized.ZeroPoint);
            return;
        }

        // With the padding in place of torchao's, everything that it records has a counterpart, the kernel's order included.
        Tensor padding = nn.functional.pad(
            weight, [0, Missing(weight.size(1), ColumnMultiple), 0, Missing(weight.size(0), RowMultiple)]);
        using var padded = ((Int4WeightOnlyConfig)config).UseHqq
            ? Solve(config, padding)
            : (Int4Tensor)WeightOnly.Quantize(config, padding);
        Tensor zeroPoint = padded.ZeroPoint!;
        run.Expect("w_scale", padded.Scale);
        run.Expect("w_zero_point", zeroPoint);
        run.Expect("w_packed.scale_and_zero", stack([padded.Scale, zeroPoint], dim: 2).transpose(0, 1));
        long tiles = 2 * run.Recorded("w_packed.packed_weight").size(3);
        run.Expect("w_packed.packed_weight", PackTinygemm(padded.UnpackCodes(), tiles));
    }

    private static long Missing(long size, long multiple) => (multiple - (size % multiple)) % multiple;

    // The recorded HQQ weights of this layout come from CUDA, where torchao solves in float16; ours are solved in float32.
    private static Int4Tensor Solve(QuantizeConfig config, Tensor weight)
    {
        long group = ((Int4WeightOnlyConfig)config).GroupSize!.Value;
        (Tensor codes, QParams flat) = HqqQuantization.Quantize(weight, new HqqOptions
        {
            GroupSize = group,
            ComputeType = weight.dtype,
            SolverType = ScalarType.Float16,
        });
        long[] shape = [weight.size(0), weight.size(1) / group];
        var qparams = new QParams(flat.Scale.reshape(shape), flat.ZeroPoint!.reshape(shape));
        return (Int4Tensor)new Int4Grid(group, MappingType.Asymmetric).Pack(codes, qparams, weight.dtype);
    }

    // libtorch's _convert_weight_to_int4pack: [N / 8][K / (16 · tiles)][32 lanes][tiles / 2] words of eight codes. Lane t has
    // row t / 4 of its eight and, in each of two inner tiles of 16, the columns 2 (t mod 4) + {0, 1, 8, 9}.
    private static Tensor PackTinygemm(Tensor codes, long tiles)
    {
        (long n, long k) = (codes.size(0), codes.size(1));
        byte[] q = codes.contiguous().bytes.ToArray();
        int[] columns = [0, 8, 16, 24, 1, 9, 17, 25];
        long groups = k / (16 * tiles);
        int[] words = new int[n / 8 * groups * 32 * (tiles / 2)];
        for (int w = 0; w < words.Length; w++)
        {
            long pair = w % (tiles / 2);
            long lane = w / (tiles / 2) % 32;
            long group = w / (tiles / 2) / 32 % groups;
            long row = (w / (tiles / 2) / 32 / groups * 8) + (lane / 4);
            long column = (group * 16 * tiles) + (pair * 32) + (lane % 4 * 2);
            for (int i = 0; i < 8; i++)
            {
                words[w] |= q[(row * k) + column + columns[i]] << (4 * i);
            }
        }

        return tensor(words).view(n / 8, groups, 32, tiles / 2);
    }
}
