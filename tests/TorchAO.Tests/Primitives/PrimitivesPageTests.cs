using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

/// <summary>The snippets of docs/primitives.md, compiled and run; the last test keeps the two files equal.</summary>
public sealed class PrimitivesPageTests
{
    [Fact]
    public void Affine_grids()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(1);
        using Tensor weight = randn(16, 64);
        AffineScheme scheme = new(QuantizedType.Int4) { Mapping = MappingType.Asymmetric };
        long[] block = new PerGroup(32).BlockSize(weight.shape);
        using QParams qparams = AffineQuantization.ChooseQParams(weight, block, scheme);
        using Tensor codes = AffineQuantization.Quantize(weight, block, qparams, scheme);
        using Tensor values = AffineQuantization.Dequantize(codes, block, qparams, scheme);

        Assert.Equal([16L, 64], values.shape);
    }

    [Fact]
    public void Fake_quantization()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(1);
        using Tensor x = randn([4, 32], requires_grad: true);
        AffineScheme scheme = new(QuantizedType.Int8);
        long[] block = new PerToken().BlockSize(x.shape);
        using QParams qparams = AffineQuantization.ChooseQParams(x, block, scheme);
        using Tensor y = AffineQuantization.FakeQuantize(x, block, qparams, scheme, clipGradient: true);

        Assert.True(y.requires_grad);
    }

    [Fact]
    public void Float8()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(1);
        using Tensor x = randn(4, 32);
        using Tensor scale = Float8Quantization.ChooseScale(x, QuantizedType.Float8E4M3);
        using Tensor codes = Float8Quantization.Quantize(x, scale, QuantizedType.Float8E4M3);
        using Tensor values = Float8Quantization.Dequantize(codes, scale);

        Assert.True(SignalToNoise.Decibels(x, values) > 25);
    }

    [Fact]
    public void Small_floats()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(1);
        FloatxType fp6 = new(exponentBits: 3, mantissaBits: 2);
        using Tensor weight = randn(64, 128);
        using Tensor scale = FloatxQuantization.ChooseScale(weight, fp6);
        using Tensor codes = FloatxQuantization.Quantize(weight, scale, fp6);
        using Tensor packed = FloatxTensorCorePacking.Pack(codes, fp6.Bits);

        Assert.Equal([64L, 96], packed.shape);
    }

    [Fact]
    public void Hqq()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(1);
        using Tensor weight = randn(32, 128);
        HqqOptions options = new() { Bits = 4, GroupSize = 64, ComputeType = ScalarType.Float32 };
        (Tensor codes, QParams qparams) = HqqQuantization.Quantize(weight, options);
        AffineScheme scheme = new(QuantizedType.UInt4) { Domain = ZeroPointDomain.Float };
        using Tensor values = AffineQuantization.Dequantize(codes, [1, 64], qparams, scheme);

        Assert.True(SignalToNoise.Decibels(weight, values) > 15);
    }

    [Fact]
    public void Qqq()
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(1);
        using Tensor weight = randn(16, 256).to_type(ScalarType.Float16);
        using QqqWeight quantized = QqqQuantization.Quantize(weight, groupSize: 128);

        Assert.Equal([16L, 2], quantized.GroupScale.shape);
    }

    [Fact]
    public void Every_snippet_of_the_page_stands_in_this_file()
    {
        string root = FindRoot();
        string[] page = File.ReadAllText(Path.Combine(root, "docs", "primitives.md")).Split("```");
        string here = Normalize(File.ReadAllText(
            Path.Combine(root, "tests", "TorchAO.Tests", "Primitives", "PrimitivesPageTests.cs")));

        string[] snippets = [.. page.Where(part => part.StartsWith("csharp\n", StringComparison.Ordinal))];

        Assert.NotEmpty(snippets);
        Assert.All(snippets, snippet => Assert.Contains(Normalize(snippet[7..]), here, StringComparison.Ordinal));
    }

    // The directives at the head of a snippet stand at the head of this file.
    private static string Normalize(string code) => string.Join('\n', code.Split('\n').Select(line => line.Trim())
        .Where(line => !(line.StartsWith("using ", StringComparison.Ordinal) && !line.Contains('=', StringComparison.Ordinal)))).Trim();

    private static string FindRoot()
    {
        DirectoryInfo? at = new(AppContext.BaseDirectory);
        while (at is not null && !File.Exists(Path.Combine(at.FullName, "TorchAO.slnx")))
        {
            at = at.Parent;
        }

        return at?.FullName ?? throw new DirectoryNotFoundException("No TorchAO.slnx above the test program.");
    }
}
