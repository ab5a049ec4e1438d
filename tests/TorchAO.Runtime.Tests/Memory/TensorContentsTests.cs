using TorchAO.Runtime.Memory;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Memory;

public sealed class TensorContentsTests
{
    [Fact]
    public void Whoever_holds_the_object_sees_its_new_contents()
    {
        using Linear layer = nn.Linear(3, 2, hasBias: false, device: META);
        Parameter held = layer.weight!;
        using Tensor value = ones(2, 3);
        TensorContents.Share(layer.weight!, value);

        using Tensor x = ones(1, 3);
        using Tensor y = layer.forward(x);
        Assert.Equal(3, y[0, 1].item<float>());
        Assert.Equal(TorchSharp.DeviceType.CPU, held.device_type);
        Assert.Equal(TensorContents.Identity(value), TensorContents.Identity(held));
    }

    [Fact]
    public void Objects_of_one_tensor_have_one_identity_on_every_device()
    {
        using Embedding embedding = nn.Embedding(4, 2, device: META);
        using Parameter first = embedding.weight!, second = embedding.weight!;
        using Tensor other = empty(4, 2, device: META);
        using Tensor again = TensorContents.Again(other);

        Assert.NotEqual(first.Handle, second.Handle);
        Assert.Equal(TensorContents.Identity(first), TensorContents.Identity(second));
        Assert.Equal(TensorContents.Identity(other), TensorContents.Identity(again));
        Assert.NotEqual(TensorContents.Identity(first), TensorContents.Identity(other));
    }

    [Fact]
    public void A_disposed_tensor_has_no_contents_to_share()
    {
        Tensor gone = ones(1);
        gone.Dispose();
        using Tensor living = ones(1);
        Assert.Throws<ObjectDisposedException>(() => TensorContents.Share(living, gone));
        Assert.Throws<ObjectDisposedException>(() => TensorContents.Share(gone, living));
    }

    [Fact]
    public void Trimming_the_heap_leaves_living_tensors_alone()
    {
        using Tensor living = arange(1000);
        NativeHeap.Trim();
        Assert.Equal(999, living[999].item<long>());
    }
}
