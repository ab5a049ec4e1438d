using System.Text.Json.Nodes;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Tests.Contracts.Ternary;

/// <summary>A format from outside of the library: codes -1, 0 and 1. Proves that the door is open without a change in src.</summary>
internal sealed class TernaryFormat : Format<TernaryTensor>
{
    public override string Name => "ternary";

    public override string Summary => "-1, 0 and 1 times one scale a row";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } = [new TernaryHandler()];

    protected override IReadOnlyList<ILinearKernel<TernaryTensor>> LinearKernels { get; } = [new TernaryRowKernel()];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new TernaryGrid();

    public override QuantizedTensor Read(StoredTensor stored)
    {
        var reader = new StoredTensorReader(stored, Name);
        reader.RequireExactly(["qdata", "scale"], []);
        return new TernaryTensor(
            stored.DType,
            reader.Component("qdata", stored.Shape, ScalarType.Int8),
            reader.Scales("scale", reader.OutFeatures, 1));
    }
}

internal sealed record TernaryConfig : QuantizeConfig;

internal sealed class TernaryHandler : QuantizeHandler<TernaryConfig>
{
    public override string ConfigName => "ternary_weight_only";

    public override string FormatName => "ternary";

    protected override string? ReasonToSkip(in WeightFacts weight, TernaryConfig config) => null;

    protected override long PredictBytes(in WeightFacts weight, TernaryConfig config) =>
        weight.OutFeatures * (weight.InFeatures + weight.ElementBytes);

    protected override long GroupSize(in WeightFacts weight, TernaryConfig config) => weight.InFeatures;

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, TernaryConfig config) => new TernaryGrid();
}

internal sealed class TernaryGrid : IQuantizationGrid
{
    public QParams ChooseQParams(Tensor weight)
    {
        using Tensor magnitude = weight.abs();
        using Tensor largest = magnitude.amax([1], keepdim: true);
        return new QParams(largest.clamp(min: 1e-6));
    }

    public Tensor Quantize(Tensor weight, QParams qparams)
    {
        using DisposeScope scope = NewDisposeScope();
        return (weight / qparams.Scale).round().clamp(-1, 1).to(ScalarType.Int8).MoveToOuterDisposeScope();
    }

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype)
    {
        using DisposeScope scope = NewDisposeScope();
        return (codes.to(dtype) * qparams.Scale.to(dtype)).MoveToOuterDisposeScope();
    }

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) =>
        new TernaryTensor(dtype, codes.clone(), qparams.Scale.clone());
}

internal sealed class TernaryTensor(ScalarType dtype, Tensor qdata, Tensor scale)
    : QuantizedTensor(qdata.shape, dtype, new TensorComponent("qdata", qdata), new TensorComponent("scale", scale))
{
    public override string Format => "ternary";

    public override long GroupSize => Shape[1];

    public override JsonObject DescribeParameters() => [];

    public override Tensor Dequantize(ScalarType? dtype = null)
    {
        using var qparams = new QParams(Components[1].Value.alias());
        return new TernaryGrid().Dequantize(Components[0].Value, qparams, dtype ?? DType);
    }

    protected override QuantizedTensor NarrowFeatures(long start, long length)
    {
        using Tensor view = Components[0].Value.narrow(1, start, length);
        return new TernaryTensor(DType, view.clone(), Components[1].Value.clone());
    }

    protected override QuantizedTensor With(
        IReadOnlyList<long> shape, ScalarType dtype, IReadOnlyList<TensorComponent> components) =>
        new TernaryTensor(dtype, components[0].Value, components[1].Value);
}

/// <summary>One row of float32 activations; refuses all else, so that contract tests see a refusal too.</summary>
internal sealed class TernaryRowKernel : ILinearKernel<TernaryTensor>
{
    public string Name => "ternary.cpu.gemv";

    public string? ReasonToRefuse(in LinearProblem problem) => problem switch
    {
        { ActivationType: not ScalarType.Float32 } => $"activations are {problem.ActivationType}, not Float32",
        { Rows: not 1 } => $"{problem.Rows} rows, not 1",
        _ => null,
    };

    public Tensor Run(Tensor input, TernaryTensor weight, Tensor? bias)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = weight.Components[0].Value.to(ScalarType.Float32);
        Tensor product = (codes * input).sum(dim: 1) * weight.Components[1].Value.view(-1);
        return (bias is null ? product : product + bias).view(1, -1).MoveToOuterDisposeScope();
    }
}
