using System.Globalization;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden;

/// <summary>Compares two tensors under the tolerance modes of the index.</summary>
internal static class GoldenComparison
{
    /// <summary>Says how the tensors differ, or <see langword="null"/> where they agree.</summary>
    public static string? Explain(Tensor actual, Tensor expected, GoldenTolerance tolerance)
    {
        if (tolerance.Mode == "info")
        {
            return null;
        }

        if (!actual.shape.AsSpan().SequenceEqual(expected.shape))
        {
            return $"shape [{string.Join(", ", actual.shape)}], expected [{string.Join(", ", expected.shape)}]";
        }

        if (actual.dtype != expected.dtype && !IsCodesInAByte(actual.dtype, expected.dtype))
        {
            return $"type {ScalarTypes.NameOf(actual.dtype)}, expected {ScalarTypes.NameOf(expected.dtype)}";
        }

        double[] a = Doubles(actual);
        double[] b = Doubles(expected);
        return tolerance.Mode switch
        {
            "exact" => Close(a, b, 0, 0),
            "close" => Close(a, b, tolerance.Rtol, tolerance.Atol),
            "codes" => Codes(a, b, tolerance),
            "codes_packed4" => Codes(Nibbles(a), Nibbles(b), tolerance),
            "sqnr" => Sqnr(a, b, tolerance.MinDecibel),
            _ => throw new NotSupportedException(
                $"The index names a tolerance mode that is not known: {tolerance.Mode}"),
        };
    }

    private static bool IsCodesInAByte(ScalarType actual, ScalarType expected) =>
        expected is ScalarType.Int8 or ScalarType.Byte
        && actual is ScalarType.Int8 or ScalarType.Byte or ScalarType.Int16 or ScalarType.Int32;

    private static double[] Doubles(Tensor tensor)
    {
        // 64-bit integers of the vectors are zero points: small enough for a double.
        using Tensor wide = tensor.to_type(ScalarType.Float32).dtype == tensor.dtype || IsNarrowFloat(tensor.dtype)
            ? tensor.to_type(ScalarType.Float32).to_type(ScalarType.Float64)
            : tensor.to_type(ScalarType.Float64);
        using Tensor flat = wide.cpu().contiguous();
        return flat.numel() == 0 ? [] : flat.data<double>().ToArray();
    }

    private static bool IsNarrowFloat(ScalarType dtype) => (int)dtype is >= 23 and <= 26 or 44;

    private static double[] Nibbles(double[] bytes) =>
        [.. bytes.SelectMany(b => new double[] { (int)b & 15, ((int)b >> 4) & 15 })];

    private static string? Close(double[] a, double[] b, double rtol, double atol)
    {
        int differ = 0;
        int first = -1;
        for (int i = 0; i < a.Length; i++)
        {
            bool same = a[i].Equals(b[i]) || a[i] == b[i] || Math.Abs(a[i] - b[i]) <= atol + (rtol * Math.Abs(b[i]));
            if (!same)
            {
                differ++;
                first = first < 0 ? i : first;
            }
        }

        return differ == 0 ? null : string.Create(
            CultureInfo.InvariantCulture,
            $"{differ} of {a.Length} differ, first at {first}: {a[first]:r}, expected {b[first]:r} " +
            $"(rtol {rtol}, atol {atol})");
    }

    private static string? Codes(double[] a, double[] b, GoldenTolerance tolerance)
    {
        double[] apart = [.. a.Zip(b, (x, y) => Math.Abs(x - y))];
        int differ = apart.Count(d => d != 0);
        double worst = apart.DefaultIfEmpty().Max();
        return worst <= tolerance.MaxAbsDiff && differ <= tolerance.MaxMismatchFraction * a.Length ? null :
            $"{differ} of {a.Length} codes differ, by up to {worst}; allowed a share of " +
            $"{tolerance.MaxMismatchFraction} by up to {tolerance.MaxAbsDiff}";
    }

    private static string? Sqnr(double[] a, double[] b, double bar)
    {
        double signal = b.Sum(x => x * x);
        double noise = b.Zip(a, (x, y) => (x - y) * (x - y)).Sum();
        double decibel = 10 * Math.Log10(signal / noise);
        return noise == 0 || decibel >= bar ? null : $"{decibel:f2} dB, expected at least {bar} dB";
    }
}
