using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Memory;

public sealed unsafe class TensorMemoryTests
{
    [Fact]
    public void A_span_reads_and_writes_the_tensor_itself()
    {
        using Tensor x = arange(6, dtype: ScalarType.Float32).reshape(2, 3);
        Span<float> span = TensorMemory.Span<float>(x);
        Assert.Equal([0, 1, 2, 3, 4, 5], span.ToArray());
        span[4] = 40;
        Assert.Equal(40, x[1, 1].item<float>());
    }

    [Fact]
    public void The_address_of_a_view_includes_its_offset()
    {
        using Tensor x = arange(6, dtype: ScalarType.Int32);
        using Tensor view = x[TensorIndex.Slice(2, 5)];
        Assert.Equal(2, *TensorMemory.Address<int>(view));
        Assert.Equal([2, 3, 4], TensorMemory.ReadOnlySpan<int>(view).ToArray());
    }

    [Fact]
    public void Integers_of_the_same_size_stand_for_bits_and_bytes_for_anything()
    {
        using Tensor bf16 = ones(2, dtype: ScalarType.BFloat16);
        Assert.Equal([0x3f80, 0x3f80], TensorMemory.Span<ushort>(bf16).ToArray());
        Assert.Equal(4, TensorMemory.Span<byte>(bf16).Length);
        using Tensor float8 = ones(3, dtype: ScalarTypes.Float8E4M3);
        Assert.Equal([0x38, 0x38, 0x38], TensorMemory.Span<byte>(float8).ToArray());
    }

    [Fact]
    public void A_float_does_not_stand_for_an_integer_nor_a_short_for_an_int()
    {
        using Tensor integers = zeros(2, 3, dtype: ScalarType.Int32);
        ArgumentException error = Assert.Throws<ArgumentException>(() => TensorMemory.Address<float>(integers) == null);
        Assert.Contains("I32 [2, 3]", error.Message, StringComparison.Ordinal);
        Assert.Contains("Single", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => TensorMemory.Address<short>(integers) == null);
    }

    [Fact]
    public void A_transposed_tensor_is_refused_with_its_strides()
    {
        using Tensor x = zeros(2, 3);
        using Tensor transposed = x.t();
        ArgumentException error = Assert.Throws<ArgumentException>(() => TensorMemory.Address<float>(transposed) == null);
        Assert.Contains("[1, 3]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_of_another_device_is_refused()
    {
        using Tensor elsewhere = empty(2, device: new Device(DeviceType.META));
        Assert.Throws<ArgumentException>(() => TensorMemory.Address<float>(elsewhere) == null);
    }

    [Fact]
    public void An_empty_tensor_has_an_empty_span()
    {
        using Tensor x = empty(0, 4);
        Assert.True(TensorMemory.Span<float>(x).IsEmpty);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarTypes.Float8E4M3)]
    [InlineData(ScalarType.Int8)]
    public void A_tensor_over_foreign_memory_shares_it(ScalarType type)
    {
        byte* memory = (byte*)NativeMemory.AllocZeroed(64);
        try
        {
            using Tensor x = TensorMemory.FromBlob((nint)memory, [2, 2], type, new object());
            Assert.Equal(type, x.dtype);
            Assert.Equal([2, 2], x.shape);
            Assert.Equal((nint)memory, TensorMemory.DeviceAddress(x));
            TensorMemory.Span<byte>(x)[1] = 7;
            Assert.Equal(7, memory[1]);
        }
        finally
        {
            NativeMemory.Free(memory);
        }
    }

    [Fact]
    public void Scalars_and_empty_shapes_are_tensors_too()
    {
        float value = 3;
        using Tensor scalar = TensorMemory.FromBlob((nint)(&value), [], ScalarType.Float32, this);
        Assert.Equal(3, scalar.item<float>());
        using Tensor nothing = TensorMemory.FromBlob(0, [0, 4], ScalarType.Float32, this);
        Assert.Equal([0, 4], nothing.shape);
    }

    [Fact]
    public void The_owner_lives_as_long_as_the_last_view()
    {
        using var memory = new Floats();
        (Tensor view, WeakReference owner) = ViewOfBlob(memory.Address);
        int before = BorrowedStorage.Count;
        Collect();
        Assert.True(owner.IsAlive, "a view still needs the owner");
        view.Dispose();
        Assert.Equal(before - 1, BorrowedStorage.Count);
        Collect();
        Assert.False(owner.IsAlive, "nothing needs the owner");
    }

    [Fact]
    public void Two_tensors_over_one_address_each_keep_their_own_owner()
    {
        using var memory = new Floats();
        (Tensor first, WeakReference firstOwner) = ViewOfBlob(memory.Address);
        (Tensor second, WeakReference secondOwner) = ViewOfBlob(memory.Address);
        first.Dispose();
        Collect();
        Assert.False(firstOwner.IsAlive);
        Assert.True(secondOwner.IsAlive);
        second.Dispose();
    }

    [Fact]
    public void A_null_address_with_elements_and_a_negative_size_are_refused()
    {
        Assert.Throws<ArgumentException>(() => TensorMemory.FromBlob(0, [1], ScalarType.Float32, this));
        Assert.Throws<ArgumentOutOfRangeException>(() => TensorMemory.FromBlob(0, [-1], ScalarType.Float32, this));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static (Tensor View, WeakReference Owner) ViewOfBlob(nint address)
    {
        object owner = new();
        using Tensor whole = TensorMemory.FromBlob(address, [4], ScalarType.Float32, owner);
        return (whole[TensorIndex.Slice(1, 3)], new WeakReference(owner));
    }

#pragma warning disable RS0030 // whether an owner can be collected is what these tests ask
    private static void Collect()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
    }
#pragma warning restore RS0030

    private sealed class Floats : IDisposable
    {
        public nint Address { get; } = (nint)NativeMemory.AllocZeroed(16);

        public void Dispose() => NativeMemory.Free((void*)Address);
    }
}
