using TorchAO.Checkpoints;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using static TorchSharp.torch;

namespace TorchAO;

public static partial class ModelExtensions
{
    /// <summary>Writes a quantized model to one safetensors file, which appears whole or not at all.</summary>
    /// <remarks>
    /// The file holds each quantized weight's components, and all other parameters and persistent buffers once each. It is the
    /// same whichever road a layer took. TorchSharp's own <c>save</c> cannot do this.
    /// </remarks>
    /// <param name="model">The model, with at least one quantized layer.</param>
    /// <param name="path">The file to make or to replace; what stood there stays until the new file is complete.</param>
    /// <param name="probe">An input for the model, on its device. Stored with the model's output, which loading computes again and
    /// compares. Asks for a <c>Module&lt;Tensor, Tensor&gt;</c> with finite floating-point output.</param>
    /// <param name="options">Cancellation; the defaults if absent.</param>
    /// <exception cref="QuantizationException">No layer is quantized, a tensor has no values, or the probe is of no use.</exception>
    /// <exception cref="IOException">The path is a folder, its folder is absent, or the disk refuses.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; what stood under the path stays.</exception>
    public static void SaveQuantized(
        this nn.Module model, string path, Tensor? probe = null, SaveOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrEmpty(path);
        QuantizedModelWriter.Save(model, path, probe, options ?? new());
    }

    /// <summary>Loads what <see cref="SaveQuantized"/> wrote into a freshly built floating-point model.</summary>
    /// <remarks>
    /// Names, shapes, types, formats and checksums are verified before the model changes. Layers and parameters on the meta
    /// device become real, so that a model that was built there never holds a floating-point weight.
    /// </remarks>
    /// <param name="model">The model, of the same structure and types as the one that was quantized.</param>
    /// <param name="path">The file.</param>
    /// <param name="options">Device, probe, progress; the defaults if absent.</param>
    /// <returns>What became of each quantized layer, and how far the probe's output was from the stored one.</returns>
    /// <exception cref="CheckpointException">The file lies or belongs to another model, and nothing was changed; or the probe
    /// failed (<see cref="CheckpointError.ProbeMismatch"/>), and the model must not be used.</exception>
    /// <exception cref="QuantizationException">The model is quantized already; nothing was changed.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; the model is as it was.</exception>
    public static LoadReport LoadQuantized(this nn.Module model, string path, LoadOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrEmpty(path);
        return QuantizedModelReader.Load(model, path, BuiltInFormats.Catalog, options ?? new());
    }

    /// <summary>Loads floating-point weights into a model, one tensor at a time.</summary>
    /// <remarks>The model decides the types: floating-point tensors are converted, others must have the model's type.</remarks>
    /// <param name="model">The model; what is on the meta device becomes real.</param>
    /// <param name="source">The tensors, under the model's names.</param>
    /// <param name="options">Device and cancellation; the defaults if absent.</param>
    /// <exception cref="CheckpointException">A tensor is missing, too many, or of another shape or kind; nothing was changed.</exception>
    /// <exception cref="QuantizationException">The model is quantized already; nothing was changed.</exception>
    public static void LoadWeights(this nn.Module model, ITensorSource source, LoadOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(source);
        SourceLoading.Load(model, source, BuiltInFormats.Catalog, options ?? new());
    }

    /// <summary>Reads floating-point weights one at a time, quantizes each as the first matching rule says, and drops it.</summary>
    /// <remarks>
    /// For a model that was built on the meta device, memory holds the quantized model and about one layer more, however large
    /// the weights on disk are. Rules, reasons and results are those of <see cref="Quantize(nn.Module, ModuleRules, QuantizeOptions?)"/>.
    /// </remarks>
    /// <param name="model">The model, best on the meta device; it decides the types of weights.</param>
    /// <param name="source">The tensors, under the model's names.</param>
    /// <param name="rules">The rules in order; one that matches no layer is an error.</param>
    /// <param name="options">Filter, device, coverage, progress; the defaults if absent.</param>
    /// <returns>What became of each layer.</returns>
    /// <exception cref="CheckpointException">A tensor is missing, too many, or of another shape or kind; nothing was changed.</exception>
    /// <exception cref="QuantizationException">As for quantizing in memory; nothing was changed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; the model is as it was.</exception>
    public static QuantizeReport QuantizeFrom(
        this nn.Module model, ITensorSource source, ModuleRules rules, QuantizeOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        Require(model, rules);
        return SourceLoading.Quantize(model, source, rules, BuiltInFormats.Catalog, options ?? new());
    }

    /// <summary>As <see cref="QuantizeFrom(nn.Module, ITensorSource, ModuleRules, QuantizeOptions?)"/>, all layers with one config.</summary>
    /// <inheritdoc cref="QuantizeFrom(nn.Module, ITensorSource, ModuleRules, QuantizeOptions?)"/>
    /// <param name="model">The model, best on the meta device.</param>
    /// <param name="source">The tensors, under the model's names.</param>
    /// <param name="config">What to do, such as <c>new Int4WeightOnlyConfig()</c>.</param>
    /// <param name="options">Filter, device, coverage, progress; the defaults if absent.</param>
    public static QuantizeReport QuantizeFrom(
        this nn.Module model, ITensorSource source, QuantizeConfig config, QuantizeOptions? options = null) =>
        model.QuantizeFrom(source, Everything(config), options);
}
