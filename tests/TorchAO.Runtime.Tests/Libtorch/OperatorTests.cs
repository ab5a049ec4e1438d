using System.Runtime.InteropServices;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using TorchAO.Tests;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Libtorch;

public sealed class OperatorTests
{
    [Fact]
    public void Tensors_go_in_and_a_tensor_comes_out()
    {
        using Tensor a = tensor(new sbyte[] { 1, 2, 3, 4 }).reshape(2, 2);
        using Tensor b = tensor(new sbyte[] { 100, 0, 0, 100 }).reshape(2, 2);
        using Tensor product = Operator.Find("aten::_int_mm").Call(a, b);
        Assert.Equal(ScalarType.Int32, product.dtype);
        Assert.Equal([100, 200, 300, 400], product.data<int>().ToArray());
    }

    [Fact]
    public void Element_types_convert_and_defaults_fill_in()
    {
        using Tensor x = tensor(new float[] { 1, 2 });
        using Tensor narrow = Operator.Find("aten::to", "dtype").Call(x, ScalarTypes.Float8E4M3);
        Assert.Equal(ScalarTypes.Float8E4M3, narrow.dtype);
        using Tensor bytes = Operator.Find("aten::view", "dtype").Call(narrow, ScalarType.Byte);
        Assert.Equal([0x38, 0x40], bytes.data<byte>().ToArray());
    }

    [Fact]
    public void Numbers_truths_and_lists_of_integers_arrive()
    {
        using Tensor x = arange(6, dtype: ScalarType.Float32).reshape(2, 3);
        using Tensor mean = Operator.Find("aten::mean", "dim").Call(x, new long[] { 1 }, true);
        Assert.Equal([2, 1], mean.shape);
        Assert.Equal([1, 4], mean.data<float>().ToArray());

        Operator fake = Operator.Find("aten::fake_quantize_per_tensor_affine");
        using Tensor quantized = fake.Call(x, 0.5, 0, -128, 3);
        Assert.Equal([0, 1, 1.5f, 1.5f, 1.5f, 1.5f], quantized.data<float>().ToArray());
    }

    [Fact]
    public void Devices_layouts_and_memory_formats_arrive()
    {
        using Tensor made = Operator.Find("aten::empty", "memory_format").Call(
            new long[] { 2, 3 }, ScalarType.Int16, 0, new Device(DeviceType.META), OperatorArgument.None, 0);
        Assert.Equal(ScalarType.Int16, made.dtype);
        Assert.Equal(DeviceType.META, made.device_type);
        Assert.Equal([2, 3], made.shape);
    }

    [Fact]
    public void Optional_tensors_and_numbers_may_be_there_or_not()
    {
        using Tensor x = ones(2, 4);
        using Tensor weight = full(4, 3.0);
        Operator norm = Operator.Find("aten::rms_norm");
        using Tensor plain = norm.Call(x, new long[] { 4 }, OperatorArgument.None, 1e-6);
        using Tensor weighted = norm.Call(x, new long[] { 4 }, weight, OperatorArgument.None);
        using Tensor byDefault = norm.Call(x, new long[] { 4 });
        Assert.Equal(1, plain[0, 0].item<float>(), 1e-5);
        Assert.Equal(3, weighted[1, 3].item<float>(), 1e-5);
        Assert.Equal(1, byDefault[1, 1].item<float>(), 1e-5);
    }

    [Fact]
    public void Lists_of_tensors_go_in_and_come_out()
    {
        using Tensor a = ones(2, 3);
        using Tensor b = zeros(1, 3);
        using Tensor both = Operator.Find("aten::cat").Call(new[] { a, b });
        Assert.Equal([3, 3], both.shape);
        var parts = (Tensor[])Operator.Find("aten::split_with_sizes").CallAll(both, new long[] { 1, 2 })[0];
        Assert.Equal(2, parts.Length);
        Assert.Equal([2, 3], parts[1].shape);
        foreach (Tensor part in parts)
        {
            part.Dispose();
        }
    }

    [Fact]
    public void Absent_elements_of_a_list_arrive()
    {
        using Tensor x = arange(6, dtype: ScalarType.Float32).reshape(2, 3);
        using Tensor columns = tensor(new long[] { 2, 0 });
        using Tensor picked = Operator.Find("aten::index", "Tensor").Call(x, new Tensor?[] { null, columns });
        Assert.Equal([2, 0, 5, 3], picked.contiguous().data<float>().ToArray());
    }

    [Fact]
    public void Texts_and_lists_of_numbers_arrive()
    {
        using Tensor a = ones(2, 3);
        using Tensor b = ones(3, 2);
        using Tensor product = Operator.Find("aten::einsum").Call("ij,jk->ik", new[] { a, b });
        Assert.Equal(3, product[1, 1].item<float>());
        using Tensor image = ones(1, 1, 2, 2);
        using Tensor larger = Operator.Find("aten::upsample_nearest2d", "vec").Call(
            image, OperatorArgument.None, new[] { 2.0, 3.0 });
        Assert.Equal([1, 1, 4, 6], larger.shape);
    }

    [Fact]
    public void Several_tensors_integers_and_truths_come_out()
    {
        using Tensor x = tensor(new float[] { 3, 1, 2 });
        IReadOnlyList<object> sorted = Operator.Find("aten::sort").CallAll(x);
        using var values = (Tensor)sorted[0];
        using var indices = (Tensor)sorted[1];
        Assert.Equal([1, 2, 3], values.data<float>().ToArray());
        Assert.Equal([1, 2, 0], indices.data<long>().ToArray());
        Assert.Equal(true, Operator.Find("aten::equal").CallAll(x, x)[0]);
        Assert.Equal(3L, Operator.Find("aten::size", "int").CallAll(x, 0)[0]);
        using Tensor quantized = quantize_per_tensor(x, 1.5, 0, ScalarType.QInt8);
        Assert.Equal(1.5, Operator.Find("aten::q_scale").CallAll(quantized)[0]);
    }

    [Fact]
    public void Autograd_records_the_call()
    {
        using Tensor x = randn(2, 3, requires_grad: true);
        using Tensor w = randn(4, 3);
        using Tensor y = Operator.Find("aten::linear").Call(x, w);
        using Tensor loss = y.sum();
        loss.backward();
        using Tensor expected = w.sum(dim: 0);
        Assert.True(expected.allclose(x.grad![0]));
        using (no_grad())
        {
            using Tensor unrecorded = Operator.Find("aten::linear").Call(x, w);
            Assert.False(unrecorded.requires_grad);
        }
    }

    [Fact]
    public void An_operator_in_place_writes_to_its_argument()
    {
        using Tensor x = ones(3);
        using Tensor same = Operator.Find("aten::zero_").Call(x);
        Assert.Equal(0, x.sum().item<float>());
        Assert.Equal(1, same.numel() / 3);
    }

    [Fact]
    public void An_unknown_operator_is_refused_by_name()
    {
        MissingMethodException error = Assert.Throws<MissingMethodException>(() => Operator.Find("aten::no_such_thing", "out"));
        Assert.Contains("aten::no_such_thing", error.Message, StringComparison.Ordinal);
        Assert.Contains("\"out\"", error.Message, StringComparison.Ordinal);
        Assert.Throws<MissingMethodException>(() => Operator.Find("aten::mm", "no_such_overload"));
        Assert.Throws<MissingMethodException>(() => Operator.Find("without a namespace"));
    }

    [Fact]
    public void Arguments_are_checked_before_the_call()
    {
        using Tensor x = ones(2, 2);
        Operator mm = Operator.Find("aten::mm");
        Assert.Contains("mat2 (Tensor) is missing", Refused(() => mm.Call(x)), StringComparison.Ordinal);
        Assert.Contains("takes 2 arguments, got 3", Refused(() => mm.Call(x, x, x)), StringComparison.Ordinal);
        Assert.Contains("mat2 is a Tensor, got 3", Refused(() => mm.Call(x, 3)), StringComparison.Ordinal);
        Assert.Contains("mat2 is a Tensor, got None", Refused(() => mm.Call(x, OperatorArgument.None)), StringComparison.Ordinal);
        Tensor gone = ones(2);
        gone.Dispose();
        Assert.Contains("got a disposed tensor", Refused(() => mm.Call(x, gone)), StringComparison.Ordinal);
        Assert.Contains("got a disposed tensor", Refused(() => mm.Call(gone, x)), StringComparison.Ordinal);
        Assert.Contains(nameof(Operator.CallAll), Refused(() => Operator.Find("aten::sort").Call(x)), StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Operator.Find("aten::cat").Call(new Tensor?[] { x, null }));
    }

    [Fact]
    public void An_empty_list_is_carried_whatever_its_elements_would_be()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = tensor(new byte[] { 130, 126, 128, 131 }, [1, 4]); // 2, -2, 0 and 3, counted from 128
        Tensor weight = tensor(new sbyte[] { 1, 2, 3, 4, -5, -6, -7, -8 }, [2, 4]);
        Tensor scales = tensor(new[] { 0.5f, 0.25f });
        Tensor packed = Operator.Find("onednn::qlinear_prepack").Call(weight, OperatorArgument.None);

        // The list of scalars for a fused operation: there is none.
        Tensor product = Operator.Find("onednn::qlinear_pointwise").Call(
            codes, 2.0, 128, packed, scales, zeros([2], dtype: ScalarType.Int32), OperatorArgument.None, 1.0, 0, ScalarType.Float32,
            "none", Array.Empty<long>(), "");

        Assert.Equal([10f, -11f], product.data<float>().ToArray());
        Assert.Throws<NotSupportedException>(() => Operator.Find("onednn::qlinear_pointwise").Call(
            codes, 2.0, 128, packed, scales, zeros([2], dtype: ScalarType.Int32), OperatorArgument.None, 1.0, 0, ScalarType.Float32,
            "none", new long[] { 1 }, ""));
    }

    [Fact]
    public void What_the_interface_cannot_carry_is_refused()
    {
        using Tensor x = ones(2, 2);
        Assert.Throws<NotSupportedException>(() => Operator.Find("aten::addmm").Call(x, x, x));
        Assert.Throws<NotSupportedException>(() => Operator.Find("aten::add", "Scalar").Call(x, 1));
        NotSupportedException error = Assert.Throws<NotSupportedException>(
            () => Operator.Find("aten::_choose_qparams_per_tensor").CallAll(x, false));
        Assert.Contains("float, int", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_failure_has_the_reason_the_schema_and_the_arguments()
    {
        using Tensor a = ones(2, 3);
        using Tensor b = ones(4, 5);
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => Operator.Find("aten::mm").Call(a, b));
        Assert.Contains("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", error.Message, StringComparison.Ordinal);
        Assert.Contains("aten::mm(Tensor self, Tensor mat2) -> Tensor", error.Message, StringComparison.Ordinal);
        Assert.Contains("F32 [2, 3], F32 [4, 5]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_failing_operator_in_place_is_not_repeated()
    {
        using Tensor a = ones(2);
        using Tensor b = ones(3);
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(
            () => Operator.Find("aten::copy_").Call(a, b));
        Assert.EndsWith("the reason is on standard error", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_thousand_calls_leave_no_tensor_behind()
    {
        long tensors = LiveTensors.Count(), storages = BorrowedStorage.Count;
        Operator alias = Operator.Find("aten::alias"), cat = Operator.Find("aten::cat"), sort = Operator.Find("aten::sort");
        Operator index = Operator.Find("aten::index", "Tensor"), norm = Operator.Find("aten::rms_norm");
        for (int i = 0; i < 1000; i++)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor a = Counted(4, 4), weight = Counted(4), rows = tensor(new long[] { 0 });
            cat.Call(new[] { a, a }, 0);
            index.Call(alias.Call(a), new Tensor?[] { rows, null });
            norm.Call(a, new long[] { 4 }, weight, 1e-6);
            sort.CallAll(weight);
        }

        // libtorch tells when the last reference to a storage of ours goes, so a handle that leaked would show.
        Assert.Equal(tensors, LiveTensors.Count());
        Assert.Equal(storages, BorrowedStorage.Count);
    }

    [Fact]
    public void Failing_and_refused_calls_leave_nothing_behind()
    {
        long tensors = LiveTensors.Count(), storages = BorrowedStorage.Count;
        for (int i = 0; i < 3; i++)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor a = Counted(4, 4), b = Counted(4);
            Assert.Throws<InvalidOperationException>(() => Operator.Find("aten::mm").Call(a, b));
            Assert.Throws<InvalidOperationException>(() => Operator.Find("aten::cat").Call(new[] { a, b }));
            Assert.Throws<InvalidOperationException>(() => Operator.Find("aten::copy_").Call(b, a));
            Assert.Throws<ArgumentException>(() => Operator.Find("aten::mm").Call(a, 1));
        }

        Assert.Equal(tensors, LiveTensors.Count());
        Assert.Equal(storages, BorrowedStorage.Count);
    }

    private static Tensor Counted(params long[] shape)
    {
        float[] data = GC.AllocateArray<float>(16, pinned: true);
        return TensorMemory.FromBlob(Marshal.UnsafeAddrOfPinnedArrayElement(data, 0), shape, ScalarType.Float32, data);
    }

    private static string Refused(Action call) => Assert.Throws<ArgumentException>(call).Message;
}
