using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

public sealed class ActivationSchemeTests
{
    public static TheoryData<string> Names => [.. Schemes.Keys];

    private static readonly Dictionary<string, ActivationScheme> Schemes = new ActivationScheme[]
    {
        ActivationScheme.Int8PerToken,
        ActivationScheme.Int8PerToken with { IsWeightOnlyInDecode = true },
        ActivationScheme.Int8PerTokenAsymmetric,
        ActivationScheme.Int4PerToken,
        ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: true),
        ActivationScheme.Float8(QuantizedType.Float8E5M2, isPerTensor: false),
        ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: true, 0.01f),
    }.ToDictionary(scheme => scheme.ToString());

    [Theory]
    [MemberData(nameof(Names))]
    public void A_scheme_survives_its_json(string name)
    {
        JsonObject json = Schemes[name].Describe();

        var read = ActivationScheme.Read((JsonObject)JsonNode.Parse(json.ToJsonString())!);

        Assert.Equal(Schemes[name], read);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Rounding_stays_within_half_a_step_inside_the_range(string name)
    {
        ActivationScheme scheme = Schemes[name];
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator(7, CPU);
        Tensor input = rand([4, 64], generator: generator) * 2 - 1;
        (Tensor codes, QParams qparams) = scheme.Quantize(input);
        Tensor rounded = scheme.Round(input);

        // A float8 step is relative to the value; a symmetric integer grid cuts its positive end by half a step.
        Tensor step = scheme.Target.IsFloat
            ? (input.abs() * (scheme.Target.Name.Contains("e5m2", StringComparison.Ordinal) ? 0.25f : 0.125f)) + (qparams.Scale * 0.01f)
            : qparams.Scale;

        Assert.Equal(input.shape, codes.shape);
        Assert.True(((rounded - input).abs() <= (step * 0.501) + 1e-7).all().item<bool>(), name);
    }

    [Fact]
    public void A_sequence_of_one_token_stays_in_floating_point_only_where_it_should()
    {
        ActivationScheme scheme = ActivationScheme.Int8PerToken with { IsWeightOnlyInDecode = true };

        Assert.False(scheme.AppliesTo([3, 1, 64]));
        Assert.True(scheme.AppliesTo([3, 2, 64]));
        Assert.True(scheme.AppliesTo([1, 64]));
        Assert.True(ActivationScheme.Int8PerToken.AppliesTo([3, 1, 64]));
    }

    [Theory]
    [InlineData("type", "\"int9\"", "int9")]
    [InlineData("mapping", "\"sideways\"", "sideways")]
    [InlineData("static_scale", "-1", "-1")]
    [InlineData("weight_only_decode", "3", "weight_only_decode")]
    [InlineData("unheard_of", "1", "unheard_of")]
    public void A_damaged_scheme_is_refused_by_name(string field, string value, string said)
    {
        JsonObject json = ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: true, 0.5f).Describe();
        json[field] = JsonNode.Parse(value);

        var error = Assert.Throws<QuantizationException>(() => ActivationScheme.Read(json));

        Assert.Contains(said, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_static_scale_saturates_what_lies_beyond_it()
    {
        using DisposeScope scope = NewDisposeScope();
        ActivationScheme scheme = ActivationScheme.Float8(QuantizedType.Float8E4M3, isPerTensor: true, 1f / 448);

        Tensor rounded = scheme.Round(tensor(new float[] { -8, 1, 8 }, [1, 3]));

        Assert.Equal([-1f, 1f, 1f], rounded.data<float>().ToArray());
    }
}
