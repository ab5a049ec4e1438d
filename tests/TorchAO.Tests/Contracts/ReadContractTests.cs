using System.Text.Json.Nodes;
using TorchAO.Formats;
using TorchAO.Tensors;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Contracts;

/// <summary>A stored tensor with any piece wrong is refused with a message that names tensor and piece.</summary>
public sealed class ReadContractTests
{
    public static TheoryData<string> Configs => [.. ContractCases.Configs.Keys];

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_missing_component_is_named(string name) => ForEachComponent(name, (format, stored, component) =>
        Refused(format, stored with { Components = Without(stored.Components, component) }, component));

    [Theory]
    [MemberData(nameof(Configs))]
    public void An_unknown_component_is_named(string name) => ForEachComponent(name, (format, stored, component) =>
        Refused(
            format,
            stored with { Components = With(stored.Components, "surplus", stored.Components[component].clone()) },
            "surplus"));

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_component_of_another_type_is_named(string name) => ForEachComponent(name, (format, stored, component) =>
        Refused(
            format,
            stored with { Components = With(stored.Components, component, stored.Components[component].to(ScalarType.Int64)) },
            component));

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_component_of_another_shape_is_named(string name) => ForEachComponent(name, (format, stored, component) =>
    {
        using Tensor value = stored.Components[component].unsqueeze(0);
        Refused(format, stored with { Components = With(stored.Components, component, value.clone()) }, component);
    });

    [Theory]
    [MemberData(nameof(Configs))]
    public void Another_logical_shape_is_refused(string name)
    {
        using QuantizedTensor tensor = ContractCases.Quantize(ContractCases.Configs[name], 4, 256);
        StoredTensor stored = ContractCases.Store(tensor);

        Refused(tensor.Format, stored with { Shape = [4, 512] }, "layers.0.weight");
        Refused(tensor.Format, stored with { Shape = [5, 256] }, "layers.0.weight");
        Refused(tensor.Format, stored with { Shape = [4, 16, 16] }, "shape");
        Refused(tensor.Format, stored with { Shape = [0, 256] }, "shape");
        Refused(tensor.Format, stored with { DType = ScalarType.Int32 }, "dtype");
        Dispose(stored);
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void A_parameter_that_is_missing_unknown_or_of_another_kind_is_named(string name)
    {
        using QuantizedTensor tensor = ContractCases.Quantize(ContractCases.Configs[name], 4, 256);
        StoredTensor stored = ContractCases.Store(tensor);
        foreach (string parameter in stored.Parameters.Select(pair => pair.Key).ToArray())
        {
            JsonObject missing = (JsonObject)stored.Parameters.DeepClone();
            missing.Remove(parameter);
            Refused(tensor.Format, stored with { Parameters = missing }, parameter);
            JsonObject wrong = (JsonObject)stored.Parameters.DeepClone();
            wrong[parameter] = new JsonArray(1, 2);
            Refused(tensor.Format, stored with { Parameters = wrong }, parameter);
            JsonObject nothing = (JsonObject)stored.Parameters.DeepClone();
            nothing[parameter] = null;
            Refused(tensor.Format, stored with { Parameters = nothing }, parameter);
        }

        JsonObject surplus = (JsonObject)stored.Parameters.DeepClone();
        surplus["surplus"] = 1;
        Refused(tensor.Format, stored with { Parameters = surplus }, "surplus");
        Dispose(stored);
    }

    private static void ForEachComponent(string name, Action<string, StoredTensor, string> check)
    {
        using QuantizedTensor tensor = ContractCases.Quantize(ContractCases.Configs[name], 4, 256);
        foreach (TensorComponent component in tensor.Components)
        {
            StoredTensor stored = ContractCases.Store(tensor);
            check(tensor.Format, stored, component.Name);
            Dispose(stored);
        }
    }

    private static void Refused(string format, StoredTensor stored, string piece)
    {
        IFormat card = ContractCases.Catalog.Format(format);
        var error = Assert.Throws<QuantizationException>(() => card.Read(stored));
        Assert.Contains("layers.0.weight", error.Message, StringComparison.Ordinal);
        Assert.Contains(piece, error.Message, StringComparison.Ordinal);
        Assert.Contains("expected", error.Message, StringComparison.Ordinal);
    }

    private static Dictionary<string, Tensor> Without(IReadOnlyDictionary<string, Tensor> components, string name) =>
        components.Where(component => component.Key != name).ToDictionary(c => c.Key, c => c.Value);

    private static Dictionary<string, Tensor> With(
        IReadOnlyDictionary<string, Tensor> components, string name, Tensor value) =>
        new(components) { [name] = value };

    private static void Dispose(StoredTensor stored)
    {
        foreach (Tensor component in stored.Components.Values)
        {
            component.Dispose();
        }
    }
}
