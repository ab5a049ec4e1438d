using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Int4;
using TorchAO.Kernels;
using TorchAO.Modules;
using TorchAO.Tensors;
using TorchAO.Tests.Contracts;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Modules;

public sealed class QuantizedLinearTests
{
    public static TheoryData<string> Configs => [.. ContractCases.Configs.Keys];

    [Theory]
    [MemberData(nameof(Configs))]
    public void It_computes_what_the_dequantized_layer_computes(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using QuantizedLinear layer = Layer(ContractCases.Configs[name], ScalarType.Float32);
        using Linear dequantized = layer.Dequantize();
        Tensor input = ContractCases.Weight(3, 256).view(3, 1, 256);

        Tensor result = layer.call(input);

        Assert.Equal([3, 1, 6], result.shape);
        Assert.True(result.allclose(dequantized.call(input), rtol: 1e-5, atol: 1e-4), name);
    }

    [Fact]
    public void Its_names_are_those_of_the_components_and_the_bias()
    {
        using QuantizedLinear layer = Layer(new Int4WeightOnlyConfig(), ScalarType.Float32);

        Assert.Equal(["bias"], layer.named_parameters().Select(pair => pair.name));
        Assert.Equal(["qdata", "scale", "zero_point"], layer.named_buffers().Select(pair => pair.name));
        Assert.Equal(["bias", "qdata", "scale", "zero_point"], layer.state_dict().Keys.Order());
        Assert.Equal(256, layer.InFeatures);
        Assert.Equal(6, layer.OutFeatures);
        Assert.Equal(
            "QuantizedLinear(in_features=256, out_features=6, weight=int4, group_size=128, bias=yes)", layer.ToString());
    }

    [Fact]
    public void Without_a_bias_it_has_no_parameters()
    {
        using QuantizedLinear layer = Layer(new Int4WeightOnlyConfig(), ScalarType.Float32, hasBias: false);

        Assert.Empty(layer.parameters());
        Assert.Null(layer.Bias);
        using Linear dequantized = layer.Dequantize();
        Assert.Null(dequantized.bias);
    }

    [Fact]
    public void A_bias_of_another_length_is_refused()
    {
        LinearExecutor executor = Executor(new Int4WeightOnlyConfig(), ScalarType.Float32);
        using var bias = new Parameter(zeros(5));

        var error = Assert.Throws<QuantizationException>(() => new QuantizedLinear(executor, bias));

        Assert.Contains("[5], expected [6]", error.Message, StringComparison.Ordinal);
        executor.Dispose();
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void Another_type_changes_the_bias_and_the_results_but_no_code_and_no_scale(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using QuantizedLinear layer = Layer(ContractCases.Configs[name], ScalarType.Float32);
        using QuantizedTensor before = layer.Weight.To(CPU);

        layer.to(ScalarType.BFloat16);

        Assert.Equal(ScalarType.BFloat16, layer.Bias!.dtype);
        Assert.Equal(ScalarType.BFloat16, layer.Weight.DType);
        using QuantizedTensor after = layer.Weight.To(CPU, ScalarType.Float32);
        ContractCases.AssertSame(before, after);
        AssertBuffersAreTheWeight(layer);
        Assert.Equal(ScalarType.BFloat16, layer.call(ones(1, 256, dtype: ScalarType.BFloat16)).dtype);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Moving_to_where_it_is_changes_nothing(bool asDeviceType)
    {
        using QuantizedLinear layer = Layer(new Int4WeightOnlyConfig(), ScalarType.BFloat16);
        Parameter bias = layer.Bias!;
        QuantizedTensor weight = layer.Weight;
        using QuantizedTensor before = weight.To(CPU);

        if (asDeviceType)
        {
            layer.to(DeviceType.CPU);
        }
        else
        {
            layer.to(CPU, ScalarType.BFloat16);
        }

        Assert.Same(bias, layer.Bias);
        Assert.Same(weight, layer.Weight);
        ContractCases.AssertSame(before, layer.Weight);
        AssertBuffersAreTheWeight(layer);
    }

    [Fact]
    public void Another_device_takes_everything_along()
    {
        using QuantizedLinear layer = Layer(new Int4WeightOnlyConfig(), ScalarType.BFloat16);

        layer.to(torch.device("meta"));

        Assert.All(layer.Weight.Components, component => Assert.Equal(DeviceType.META, component.Value.device_type));
        Assert.Equal(DeviceType.META, layer.Bias!.device_type);
        Assert.Equal(ScalarType.BFloat16, layer.Weight.DType);
        AssertBuffersAreTheWeight(layer);
    }

    [Fact]
    public void Inside_of_a_model_it_follows_the_models_calls()
    {
        using DisposeScope scope = NewDisposeScope();
        using Sequential model = nn.Sequential(
            ("up", Layer(new Int4WeightOnlyConfig(), ScalarType.Float32)), ("act", nn.ReLU()), ("down", nn.Linear(6, 2)));

        model.eval();
        Assert.All(model.modules(), module => Assert.False(module.training));
        model.train();
        Assert.All(model.modules(), module => Assert.True(module.training));
        model.to(ScalarType.BFloat16);

        Tensor result = model.call(ones(4, 256, dtype: ScalarType.BFloat16));

        Assert.Equal(ScalarType.BFloat16, result.dtype);
        Assert.Equal([4, 2], result.shape);
        string[] expected = ["down.bias", "down.weight", "up.bias", "up.qdata", "up.scale", "up.zero_point"];
        Assert.Equal(expected, model.state_dict().Keys.Order());
        Assert.Equal(ScalarType.Float32, model.state_dict()["up.scale"].dtype);
    }

    [Fact]
    public void The_state_of_one_layer_loads_into_another()
    {
        using DisposeScope scope = NewDisposeScope();
        using QuantizedLinear source = Layer(new Int4WeightOnlyConfig(), ScalarType.Float32);
        using QuantizedTensor zeros = ZeroWeight();
        using var target = new QuantizedLinear(
            BuiltInFormats.Catalog.Format("int4").CreateExecutor(zeros.To(CPU)), new Parameter(torch.zeros(6)));
        Tensor input = ContractCases.Weight(2, 256);

        target.load_state_dict(source.state_dict());

        ContractCases.AssertEqual(source.call(input), target.call(input));
    }

    [Fact]
    public void A_frozen_bias_stays_frozen_through_a_move()
    {
        using QuantizedLinear layer = Layer(new Int4WeightOnlyConfig(), ScalarType.Float32);
        layer.Bias!.requires_grad = false;

        layer.to(ScalarType.BFloat16);

        Assert.False(layer.Bias!.requires_grad);
        using Linear dequantized = layer.Dequantize();
        Assert.False(dequantized.bias!.requires_grad);
    }

    [Fact]
    public void A_layer_made_inside_of_a_dispose_scope_outlives_it()
    {
        QuantizedLinear layer;
        using (NewDisposeScope())
        {
            layer = Layer(new Int4WeightOnlyConfig(), ScalarType.Float32);
        }

        using DisposeScope scope = NewDisposeScope();
        Assert.Equal([1, 6], layer.call(ones(1, 256)).shape);
        layer.Dispose();
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void Two_hundred_cycles_leave_no_tensor_behind(string name)
    {
        using Tensor input = ones(1, 256);
        Cycle(ContractCases.Configs[name], input);
        long before = LiveTensors.Count();
        for (int i = 0; i < 200; i++)
        {
            Cycle(ContractCases.Configs[name], input);
        }

        // Finalizers of earlier tests may lower the count meanwhile.
        Assert.InRange(LiveTensors.Count(), 0, before);
    }

    // No bias and no float layer: TorchSharp counts the emptied shell of each Parameter until it is finalized.
    private static void Cycle(QuantizeConfig config, Tensor input)
    {
        using QuantizedLinear layer = Layer(config, ScalarType.Float32, hasBias: false);
        using Tensor result = layer.call(input);
        layer.to(ScalarType.BFloat16);
    }

    private static void AssertBuffersAreTheWeight(QuantizedLinear layer)
    {
        foreach ((TensorComponent component, (string name, Tensor buffer)) in
                 layer.Weight.Components.Zip(layer.named_buffers()))
        {
            Assert.Equal(component.Name, name);
            Assert.Same(component.Value, buffer);
            Assert.False(component.Value.IsInvalid);
        }
    }

    private static QuantizedTensor ZeroWeight()
    {
        using Tensor weight = zeros(6, 256);
        var config = new Int4WeightOnlyConfig();
        return BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);
    }

    private static QuantizedLinear Layer(QuantizeConfig config, ScalarType dtype, bool hasBias = true) =>
        new(Executor(config, dtype), hasBias ? new Parameter(arange(6, dtype: dtype)) : null);

    private static LinearExecutor Executor(QuantizeConfig config, ScalarType dtype) => ContractCases.Catalog
        .Format(ContractCases.Catalog.Handler(config).FormatName)
        .CreateExecutor(ContractCases.Quantize(config, 6, 256, dtype));
}
