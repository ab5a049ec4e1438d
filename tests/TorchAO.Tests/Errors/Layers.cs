using TorchAO.Formats;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Kernels;
using TorchAO.Modules;
using TorchAO.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Tests.Errors;

/// <summary>Small quantized things to make mistakes with; the caller disposes them.</summary>
internal static class Layers
{
    public static QuantizedLinear Int8(Parameter? bias = null) => new(Executor(), bias);

    public static LinearExecutor Executor() =>
        BuiltInFormats.Catalog.Format("int8").CreateExecutor(Quantize(new Int8WeightOnlyConfig()));

    public static QuantizedTensor Int4() => Quantize(new Int4WeightOnlyConfig { GroupSize = 32 });

    private static QuantizedTensor Quantize(Configuration.QuantizeConfig config)
    {
        using Tensor weight = ones(32, 64);
        return BuiltInFormats.Catalog.Handler(config).Quantize(weight, config);
    }
}
