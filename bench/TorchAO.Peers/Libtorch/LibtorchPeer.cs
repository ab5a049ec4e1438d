using TorchAO.Runtime.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Peers.Libtorch;

/// <summary>libtorch's own linear products on the CPU, called by name in this process.</summary>
/// <remarks>
/// Only in the variants that libtorch runs fast: 4-bit weights with bfloat16 activations (with float32 ones a scalar loop runs,
/// hundreds of times slower), int8 by int8 with the weight in either order of memory.
/// </remarks>
internal sealed class LibtorchPeer : IPeer
{
    private const int Group = 128;
    private const int Middle = 128;

    private static readonly Operator IntMm = Operator.Find("aten::_int_mm");
    private static readonly Operator QuantizedPack = Operator.Find("onednn::qlinear_prepack");
    private static readonly Operator QuantizedLinear = Operator.Find("onednn::qlinear_pointwise");
    private static readonly Operator Int4Pack = Operator.Find("aten::_convert_weight_to_int4pack_for_cpu");
    private static readonly Operator Int4Mm = Operator.Find("aten::_weight_int4pack_mm_for_cpu");

    /// <inheritdoc/>
    public string Name => $"libtorch {System.Text.Encoding.ASCII.GetString([.. __version__.Select(c => (byte)c)])}";

    /// <inheritdoc/>
    public string? Absence => null;

    /// <inheritdoc/>
    public IEnumerable<Contestant> Enter(Tensor weight, int threads)
    {
        yield return Float(weight, ScalarType.Float32);
        yield return Float(weight, ScalarType.BFloat16);
        if (weight.size(1) % Group == 0 && weight.size(0) % 16 == 0)
        {
            yield return Int4(weight);
        }

        foreach (bool isTransposed in (bool[])[true, false])
        {
            yield return Int8(weight, isTransposed, isWhole: true);
            yield return Int8(weight, isTransposed, isWhole: false);
        }

        yield return Prepacked(weight, isWhole: true);
        yield return Prepacked(weight, isWhole: false);
    }

    private static TensorContestant Float(Tensor weight, ScalarType type) => new(
        $"libtorch {(type == ScalarType.Float32 ? "float32" : "bfloat16")} linear",
        Arithmetic.FloatActivations,
        weight.numel() * (type == ScalarType.Float32 ? 4 : 2),
        Copies(() => [weight.to(type, copy: true)]),
        x => x.to(type, copy: true),
        (x, parts) => nn.functional.linear(x, parts[0]));

    // code · scale + zero, with codes counted from 8: groups of 128 along K, parameters [K / 128, N, 2] in bfloat16.
    private static TensorContestant Int4(Tensor weight)
    {
        using DisposeScope scope = NewDisposeScope();
        (long n, long k) = (weight.size(0), weight.size(1));
        Tensor groups = weight.view(n, k / Group, Group);
        Tensor low = groups.amin([2], keepdim: true), high = groups.amax([2], keepdim: true);
        Tensor step = ((high - low) / 15).clamp_min(1e-8);
        Tensor codes = ((groups - low) / step).round().clamp(0, 15).to(ScalarType.Int32).view(n, k);
        Tensor parameters = stack([step.view(n, -1), (low + (8 * step)).view(n, -1)], dim: -1)
            .transpose(0, 1).to(ScalarType.BFloat16).contiguous();
        return new TensorContestant(
            $"libtorch int4pack g{Group}, bfloat16",
            Arithmetic.FloatActivations,
            (n * k / 2) + (4 * n * k / Group),
            Copies(() => [Int4Pack.Call(codes, 2), parameters.clone()]),
            x => x.to(ScalarType.BFloat16),
            (x, parts) => Int4Mm.Call(x, parts[0], Group, parts[1]));
    }

    // Symmetric int8: one scale a row of the weight, one a row of the activations.
    private static TensorContestant Int8(Tensor weight, bool isTransposed, bool isWhole)
    {
        using DisposeScope scope = NewDisposeScope();
        (long n, long k) = (weight.size(0), weight.size(1));
        (Tensor codes, Tensor scale) = Rows(weight);
        Tensor row = scale.view(1, n);
        string order = isTransposed ? "[N, K] viewed transposed" : "[K, N]";
        return new TensorContestant(
            $"libtorch _int_mm{(isWhole ? ", quantizing and scaling" : string.Empty)}, weight {order}",
            isWhole ? Arithmetic.Int8Activations : Arithmetic.IntegerProductOnly,
            (n * k) + (4 * n),
            Copies(() => [isTransposed ? codes.clone().t() : codes.t().contiguous(), row.clone()]),
            isWhole ? x => x.clone() : x => First(Rows(x)),
            isWhole ? Whole : (x, parts) => IntMm.Call(x, parts[0]),
            isWhole ? null : Scale);
    }

    // oneDNN's own order of the weight. Its activations are unsigned with one scale for the matrix: codes are counted from 128 in steps
    // of 1, and the scales of rows follow behind. (Signed activations run in its reference code, thousands of times slower.)
    private static TensorContestant Prepacked(Tensor weight, bool isWhole)
    {
        using DisposeScope scope = NewDisposeScope();
        (long n, long k) = (weight.size(0), weight.size(1));
        (Tensor codes, Tensor scale) = Rows(weight);
        return new TensorContestant(
            $"libtorch onednn qlinear{(isWhole ? ", quantizing and scaling" : string.Empty)}",
            isWhole ? Arithmetic.Int8Activations : Arithmetic.IntegerProductOnly,
            (n * k) + (4 * n),
            Copies(() => [QuantizedPack.Call(codes, OperatorArgument.None), scale.view(n).clone(), zeros([n], dtype: ScalarType.Int32)]),
            isWhole ? x => x.clone() : x => First(Unsigned(x)),
            isWhole ? MultiplyWhole : Multiply,
            isWhole ? null : (product, x, _) => ScaleRows(product, x));
    }

    private static Tensor Multiply(Tensor x, Tensor[] parts) => QuantizedLinear.Call(
        x, 1.0, Middle, parts[0], parts[1], parts[2], OperatorArgument.None, 1.0, 0, ScalarType.Float32, "none", Array.Empty<long>(), "");

    private static Tensor MultiplyWhole(Tensor x, Tensor[] parts)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor unsigned, Tensor rows) = Unsigned(x);
        return Multiply(unsigned, parts).mul_(rows).MoveToOuterDisposeScope();
    }

    private static Tensor ScaleRows(Tensor product, Tensor x)
    {
        using DisposeScope scope = NewDisposeScope();
        return product.mul(Unsigned(x).Scale).MoveToOuterDisposeScope();
    }

    private static (Tensor Codes, Tensor Scale) Unsigned(Tensor values)
    {
        Tensor scale = values.abs().amax([1], keepdim: true).div_(127).clamp_min_(1e-12);
        return (values.div(scale).round_().add_(Middle).to(ScalarType.Byte), scale);
    }

    private static Tensor Whole(Tensor x, Tensor[] parts)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor codes, Tensor scale) = Rows(x);
        return IntMm.Call(codes, parts[0]).mul(scale).mul_(parts[1]).MoveToOuterDisposeScope();
    }

    private static Tensor Scale(Tensor product, Tensor x, Tensor[] parts)
    {
        using DisposeScope scope = NewDisposeScope();
        return product.mul(Rows(x).Scale).mul_(parts[1]).MoveToOuterDisposeScope();
    }

    private static (Tensor Codes, Tensor Scale) Rows(Tensor values)
    {
        Tensor scale = values.abs().amax([1], keepdim: true).div_(127).clamp_min_(1e-12);
        return (values.div(scale).round_().to(ScalarType.Int8), scale);
    }

    private static Tensor First((Tensor Codes, Tensor Scale) rows)
    {
        rows.Scale.Dispose();
        return rows.Codes;
    }

    private static Tensor[][] Copies(Func<Tensor[]> make) =>
    [
        .. Enumerable.Range(0, Contestant.Copies).Select(_ => make().Select(part => part.DetachFromDisposeScope()).ToArray()),
    ];
}
