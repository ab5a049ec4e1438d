using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Tensor-wise float8, and the casts that it stands on.</summary>
internal sealed class Float8Handler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "A" && (recorded.Calls("choose_qparams_affine_float8") || IsCast(recorded));

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        Tensor x = run.Input("x");
        if (IsCast(recorded))
        {
            RunCasts(recorded, run, x);
            return;
        }

        var target = QuantizedType.Named(recorded.Text("float8_dtype"));
        Tensor scale = Float8Quantization.ChooseScale(x, target);
        Tensor codes = Float8Quantization.Quantize(x, scale, target);
        run.Expect("scale", scale);
        run.Expect("q", codes);
        run.Expect("dq", Float8Quantization.Dequantize(codes, scale, x.dtype));
        run.Expect("q_small_scale", Float8Quantization.Quantize(x, scale * 0.25, target));
    }

    private static bool IsCast(GoldenCase recorded) => recorded.Calls("Tensor.to(float8)");

    private static void RunCasts(GoldenCase recorded, GoldenRun run, Tensor x)
    {
        ScalarType dtype = GoldenDtype.Parse(recorded.Outputs["code"].LogicalDtype!);
        run.Expect("code", x.to_type(dtype));
        run.Expect("code_from_bf16", x.to_type(ScalarType.BFloat16).to_type(dtype));
        run.Expect("code_from_f16", x.to_type(ScalarType.Float16).to_type(dtype));
        Tensor every = Bytes([.. Enumerable.Range(0, 256).Select(i => (byte)i)], dtype);
        run.Expect("all_codes_decoded", every.to_type(ScalarType.Float32));
        if (run.HasOutput("code_of_bf16_bits"))
        {
            byte[] bits = [.. Enumerable.Range(0, 65536).SelectMany(i => new byte[] { (byte)i, (byte)(i >> 8) })];
            Tensor wide = Bytes(bits, ScalarType.BFloat16).to_type(ScalarType.Float32);
            run.Expect("code_of_bf16_bits", wide.to_type(dtype));
        }
    }

    private static Tensor Bytes(byte[] bytes, ScalarType dtype)
    {
        Tensor result = empty(bytes.Length / (dtype == ScalarType.BFloat16 ? 2 : 1), dtype: dtype);
        bytes.CopyTo(result.bytes);
        return result;
    }
}
