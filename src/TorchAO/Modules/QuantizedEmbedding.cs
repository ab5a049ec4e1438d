using TorchAO.Kernels;
using TorchAO.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Modules;

/// <summary>An embedding table with quantized rows of any weight-only format; only the rows asked for are dequantized.</summary>
/// <remarks>
/// Takes the place of <see cref="Embedding"/> in a model. No gradient reaches the table. A <c>max_norm</c> of the embedding is
/// not applied: it rewrites rows during training, and quantized rows are fixed.
/// </remarks>
public sealed class QuantizedEmbedding : QuantizedModule
{
    /// <summary>Creates the table.</summary>
    /// <param name="executor">The weight; owned by the module from now on. Its kernels for products are not used.</param>
    /// <exception cref="QuantizationException">The executor rounds activations, which an embedding does not have.</exception>
    public QuantizedEmbedding(LinearExecutor executor)
        : base(nameof(QuantizedEmbedding), executor, bias: null)
    {
        if (executor.Activation is { } scheme)
        {
            throw new QuantizationException(
                $"QuantizedEmbedding, {executor.Weight.Format} weight: the executor rounds activations ({scheme}), expected none; " +
                "use a weight-only config.");
        }
    }

    /// <summary>Gets the count of rows.</summary>
    public long NumEmbeddings => Weight.Shape[0];

    /// <summary>Gets the length of a row.</summary>
    public long EmbeddingDim => Weight.Shape[1];

    /// <summary>Looks rows up.</summary>
    /// <param name="input">Row numbers of any shape, int64 or int32, on the table's device.</param>
    /// <returns>The rows <c>[…, embedding_dim]</c> in the table's floating-point type. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The type or device of the input is another, or a number has no row (checked on the
    /// CPU; on other devices the device reports it).</exception>
    public override Tensor forward(Tensor input)
    {
        RequireInputFits(input);
        long[] shape = [.. input.shape, EmbeddingDim];
        if (input.numel() == 0)
        {
            return empty(shape, dtype: Weight.DType, device: Weight.Device);
        }

        using IDisposable noGradient = no_grad();
        using Tensor flat = input.reshape(-1);
        using QuantizedTensor rows = Weight.SelectRows(flat);
        using Tensor values = rows.Dequantize();
        return values.view(shape);
    }

    /// <summary>Multiplies hidden states by the table: the head of a language model whose head is its embedding.</summary>
    /// <param name="hidden">Hidden states <c>[…, embedding_dim]</c>.</param>
    /// <returns>Scores <c>[…, num_embeddings]</c>. The caller disposes them.</returns>
    public Tensor Project(Tensor hidden) => Executor.Forward(hidden, null);

    /// <summary>Makes the floating-point table that this one stands for.</summary>
    /// <returns>A trainable embedding with the dequantized rows. The caller disposes it.</returns>
    public Embedding Dequantize()
    {
        using IDisposable noGradient = no_grad();
        using Tensor weight = Weight.Dequantize();
        return nn.Embedding_from_pretrained(weight, freeze: false);
    }

    /// <inheritdoc/>
    public override string ToString() =>
        $"QuantizedEmbedding(num_embeddings={NumEmbeddings}, embedding_dim={EmbeddingDim}, weight={Weight.Format}, " +
        $"group_size={Weight.GroupSize})";

    private void RequireInputFits(Tensor input)
    {
        if (input.dtype is not (ScalarType.Int64 or ScalarType.Int32))
        {
            throw new QuantizationException($"{this}: the input is {input.dtype}, expected row numbers in Int64 or Int32.");
        }

        if (input.device_type != Weight.Device.type || input.device_index != Weight.Device.index)
        {
            throw new QuantizationException(
                $"{this} on {Weight.Device}: the input is on {input.device}; move the model or the input with .to(device).");
        }

        if (input.device_type != DeviceType.CPU || input.numel() == 0)
        {
            return; // reading the numbers back from a device would make each lookup wait for it
        }

        using Tensor least = input.min();
        using Tensor greatest = input.max();
        (long first, long last) = (least.to(ScalarType.Int64).item<long>(), greatest.to(ScalarType.Int64).item<long>());
        if (first < 0 || last >= NumEmbeddings)
        {
            throw new QuantizationException(
                $"{this}: got row {(first < 0 ? first : last)}, expected 0 to {NumEmbeddings - 1}; check that tokenizer and model " +
                "belong together.");
        }
    }
}
