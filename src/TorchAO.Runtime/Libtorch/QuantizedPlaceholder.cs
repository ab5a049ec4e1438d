using System.Runtime.CompilerServices;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Stands for a quantized weight inside an unchanged <see cref="Linear"/>, whose product then runs in C#.</summary>
/// <remarks>
/// <para>
/// The placeholder is a QInt8 tensor of the weight's shape <c>[N, K]</c> over N bytes. libtorch hands products with it
/// (<c>linear</c> without bias, <c>mm</c>, <c>bmm</c>; inputs of any rank) to the callbacks, <c>no_grad</c>,
/// <c>inference_mode</c> and gradients to the input included. Everything else that reads the weight is an error of libtorch, or NaN
/// where libtorch has the operator for quantized tensors (<c>mean</c>, <c>std</c>, <c>max</c>, <c>dequantize</c>).
/// </para>
/// <para>
/// Callbacks may be called on several threads at once. They get a matrix with at least one row, never necessarily
/// contiguous, and return a new matrix, which is converted to the input's type; they dispose nothing that they were given.
/// An exception of a callback arrives at the caller of the layer as TorchSharp's exception with type and message of the
/// original, which <see cref="LastError"/> holds.
/// </para>
/// </remarks>
public sealed unsafe class QuantizedPlaceholder : IDisposable
{
    // Keeps a placeholder, and so its callbacks, exactly as long as the layer it was installed into.
    private static readonly ConditionalWeakTable<Linear, QuantizedPlaceholder> Installed = [];

    private static readonly Lazy<Operator> SetStorage = new(() => Operator.Find("aten::set_", "source_Tensor_storage_offset"));

    private readonly Func<Tensor, Tensor> forward;
    private readonly Func<Tensor, Tensor> inputGradient;
    private readonly Action<Tensor>? requireFits;
    private readonly nint address;
    private Tensor? tensor; // the layer's, once installed
    private bool isDisposed;

    private QuantizedPlaceholder(
        Tensor tensor, Func<Tensor, Tensor> forward, Func<Tensor, Tensor> inputGradient, Action<Tensor>? requireFits)
    {
        this.requireFits = requireFits;
        this.tensor = tensor;
        this.forward = forward;
        this.inputGradient = inputGradient;
        Rows = tensor.size(0);
        Columns = tensor.size(1);
        address = QuantizedDispatch.Address(tensor);
        QuantizedDispatch.Add(address, this);
    }

    /// <summary>Gets N, the count of output features.</summary>
    public long Rows { get; }

    /// <summary>Gets K, the count of input features.</summary>
    public long Columns { get; }

    /// <summary>Gets whether the bias of the layer asked for a gradient before the placeholder was installed.</summary>
    public bool BiasRequiresGrad { get; private set; }

    /// <summary>Gets the exception of the newest product with a placeholder on this thread, <see langword="null"/> if
    /// it succeeded: the original behind TorchSharp's exception.</summary>
    public static Exception? LastError => QuantizedDispatch.LastError;

    /// <summary>Creates a placeholder.</summary>
    /// <param name="rows">N, at least 1.</param>
    /// <param name="columns">K, at least 1.</param>
    /// <param name="device">The device of the inputs: CPU or CUDA.</param>
    /// <param name="forward">Computes <c>x · Wᵀ + b</c> of <c>[M, K]</c>.</param>
    /// <param name="inputGradient">Computes <c>g · W</c> of <c>[M, N]</c>.</param>
    /// <param name="released">Runs when nothing refers to the placeholder's tensor any more (the layer was disposed, and no
    /// graph holds it), on the CPU only; must not throw.</param>
    /// <param name="requireFits">Throws, in the layer's own words, where a matrix is no input of it; runs before the width is verified
    /// here.</param>
    /// <returns>The placeholder. The caller keeps it alive, or installs it and lets the layer do so.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1.</exception>
    /// <remarks>Not to be called in inference mode: autograd cannot save a weight that was made there.</remarks>
    public static QuantizedPlaceholder Create(
        long rows, long columns, Device device, Func<Tensor, Tensor> forward, Func<Tensor, Tensor> inputGradient,
        Action? released = null, Action<Tensor>? requireFits = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(forward);
        ArgumentNullException.ThrowIfNull(inputGradient);
        using IDisposable noGrad = no_grad();
        using Tensor values = zeros(1, device: device, dtype: ScalarType.Float32);

        // Some operators of libtorch read any quantized tensor (mean, max, dequantize). A scale that is no number makes what they
        // give no number either, where one such as 1 would give plausible zeros.
        Tensor tensor = quantize_per_tensor(values, double.NaN, 0, ScalarType.QInt8).DetachFromDisposeScope();

        // On the CPU the storage is ours, so that its end, whoever held the last reference, ends what the callbacks hold.
        // N bytes are enough: all columns of a row share one. W is told from its transpose by these strides.
        byte[] memory = GC.AllocateUninitializedArray<byte>(checked((int)rows), pinned: true);
        using Tensor storage = device.type == DeviceType.CPU
            ? BorrowedStorage.CreateTensor((nint)Unsafe.AsPointer(ref memory[0]), [rows], ScalarType.Int8, memory, released)
            : zeros(rows, dtype: ScalarType.Int8, device: device);
        using Tensor? same = SetStorage.Value.Call(tensor, storage, 0L, new long[] { rows, columns }, new long[] { 1, 0 });
        return new QuantizedPlaceholder(tensor, forward, inputGradient, requireFits);
    }

    /// <summary>Finds the placeholder behind a layer's weight, or <see langword="null"/>.</summary>
    public static QuantizedPlaceholder? Find(Tensor weight)
    {
        ArgumentNullException.ThrowIfNull(weight);
        return weight.dtype == ScalarType.QInt8 ? QuantizedDispatch.Find(QuantizedDispatch.Address(weight)) : null;
    }

    /// <summary>Puts the placeholder into a layer, which keeps it alive from now on and whose own weight is disposed.</summary>
    /// <param name="linear">A layer with a weight <c>[N, K]</c>. It owns the placeholder's tensor from now on; a placeholder
    /// serves one layer.</param>
    /// <remarks>
    /// libtorch adds a layer's bias by <c>addmm</c>, which no C# kernel can serve, so the forward callback adds it: the
    /// layer's <c>bias</c> reads <see langword="null"/> from now on, and the parameter stays registered under its name, for
    /// <c>state_dict</c> and for the callback, which <see cref="BiasOf"/> gives it to. No gradient reaches it, so that it
    /// is marked as one that needs none.
    /// </remarks>
    /// <exception cref="ArgumentException">The layer's weight has another shape.</exception>
    /// <exception cref="InvalidOperationException">The placeholder is in a layer already.</exception>
    public void InstallInto(Linear linear)
    {
        ArgumentNullException.ThrowIfNull(linear);
        ObjectDisposedException.ThrowIf(isDisposed, this);
        Tensor own = tensor ?? throw new InvalidOperationException(
            $"The placeholder [{Rows}, {Columns}] is in a layer already; create one for each layer.");
        if (linear.weight is { } weight && (weight.size(0) != Rows || weight.size(1) != Columns))
        {
            throw new ArgumentException(
                $"A placeholder [{Rows}, {Columns}] does not fit a weight [{string.Join(", ", weight.shape)}].", nameof(linear));
        }

        if (LinearParameters.TakeBias(linear) is { } bias)
        {
            BiasRequiresGrad = bias.requires_grad;
            bias.requires_grad = false;
        }

        Parameter weightParameter = LinearParameters.Adopt(own, requiresGrad: false);
        tensor = null;
        linear.weight = weightParameter;
        Installed.AddOrUpdate(linear, this);
    }

    /// <summary>Gets the bias <c>[N]</c> that a layer with a placeholder still has in its <c>state_dict</c>, or
    /// <see langword="null"/>; owned by the layer.</summary>
    public static Parameter? BiasOf(Linear linear)
    {
        ArgumentNullException.ThrowIfNull(linear);
        return linear.bias ?? linear.named_parameters(recurse: false)
            .Where(entry => entry.name == "bias").Select(entry => entry.parameter).FirstOrDefault();
    }

    /// <summary>Ends the placeholder: later products with it are errors. What the callbacks hold is not disposed.</summary>
    public void Dispose()
    {
        isDisposed = true;
        QuantizedDispatch.Remove(address, this);
        tensor?.Dispose();
        tensor = null;
    }

    internal void RequireFits(Tensor input) => requireFits?.Invoke(input);

    internal Tensor Forward(Tensor input) => forward(input);

    internal Tensor InputGradient(Tensor gradient) => inputGradient(gradient);
}
