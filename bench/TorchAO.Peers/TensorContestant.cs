using static TorchSharp.torch;

namespace TorchAO.Peers;

/// <summary>A product of tensors, by libtorch operators.</summary>
/// <param name="name">The name of the contestant.</param>
/// <param name="arithmetic">What happens to the activations.</param>
/// <param name="bytes">The bytes of one copy of the weight.</param>
/// <param name="copies">The copies, each one or more tensors; owned from now on.</param>
/// <param name="convert">Makes of float32 activations what the product takes, untimed; a new tensor.</param>
/// <param name="product">The timed part: a new tensor, <c>[M, N]</c>.</param>
/// <param name="finish">Makes the float32 result of a product, untimed; a new tensor. A conversion if absent.</param>
internal sealed class TensorContestant(
    string name,
    Arithmetic arithmetic,
    long bytes,
    Tensor[][] copies,
    Func<Tensor, Tensor> convert,
    Func<Tensor, Tensor[], Tensor> product,
    Func<Tensor, Tensor, Tensor[], Tensor>? finish = null) : Contestant(name, arithmetic, bytes)
{
    private Tensor? original;
    private Tensor? input;

    /// <inheritdoc/>
    public override void Prepare(Tensor activations)
    {
        Forget();
        original = activations.clone().DetachFromDisposeScope();
        input = convert(activations).DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public override void Multiply(int copy) => product(input!, copies[copy]).Dispose();

    /// <inheritdoc/>
    public override Tensor Result()
    {
        using Tensor result = product(input!, copies[0]);
        return finish is null ? result.to(ScalarType.Float32, copy: true) : finish(result, original!, copies[0]);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Forget();
        foreach (Tensor tensor in copies.SelectMany(copy => copy))
        {
            tensor.Dispose();
        }
    }

    private void Forget()
    {
        original?.Dispose();
        input?.Dispose();
    }
}
