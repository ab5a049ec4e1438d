using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Our kernels for <c>aten::mm</c> and <c>aten::bmm</c> where an operand is a <see cref="QuantizedPlaceholder"/>.</summary>
/// <remarks>
/// A quantized operand moves a product to the dispatch key QuantizedCPU or QuantizedCUDA, for which libtorch has no kernel
/// of these two itself. Autograd lies above that key: it records the product as usual, and its backward is again a product
/// with the placeholder, which is told from the forward one by the placeholder's orientation. Nothing that the kernels
/// do is recorded.
/// </remarks>
internal static unsafe class QuantizedDispatch
{
    private static readonly ConcurrentDictionary<nint, WeakReference<QuantizedPlaceholder>> Placeholders = new();
    private static readonly bool Throws = RegisterAll();
    private static int sweepAt = 64;

    [ThreadStatic]
    private static Exception? lastError;

    /// <summary>Gets the exception of the newest product of this thread, or <see langword="null"/> if that succeeded.</summary>
    public static Exception? LastError => lastError;

    /// <summary>Gets how many placeholders are registered, collected ones not yet swept included.</summary>
    public static int Count => Placeholders.Count;

    public static void Add(nint address, QuantizedPlaceholder placeholder)
    {
        _ = Throws; // the kernels are registered by the first placeholder
        if (Placeholders.Count >= sweepAt)
        {
            foreach ((nint key, WeakReference<QuantizedPlaceholder> value) in Placeholders)
            {
                if (!value.TryGetTarget(out _))
                {
                    Placeholders.TryRemove(new(key, value));
                }
            }

            sweepAt = Math.Max(64, 2 * Placeholders.Count);
        }

        Placeholders[address] = new WeakReference<QuantizedPlaceholder>(placeholder);
    }

    public static void Remove(nint address, QuantizedPlaceholder placeholder)
    {
        if (Find(address) == placeholder)
        {
            Placeholders.TryRemove(address, out _);
        }
    }

    public static QuantizedPlaceholder? Find(nint address) =>
        Placeholders.TryGetValue(address, out WeakReference<QuantizedPlaceholder>? entry)
            && entry.TryGetTarget(out QuantizedPlaceholder? placeholder) ? placeholder : null;

    private static bool RegisterAll()
    {
        delegate* unmanaged[Cdecl]<ulong*, ulong, ulong, nint> mm = &Mm, bmm = &Bmm;
        nint mmStub = NativeThrow.CreateStub(mm), bmmStub = NativeThrow.CreateStub(bmm);
        bool throws = mmStub != 0 && bmmStub != 0;
        Register("QuantizedCPU"u8, throws ? mmStub : (nint)mm, throws ? bmmStub : (nint)bmm);
        if (cuda.is_available())
        {
            Register("QuantizedCUDA"u8, throws ? mmStub : (nint)mm, throws ? bmmStub : (nint)bmm);
        }

        return throws;
    }

    // The library object is never deleted: that would take the kernels back.
    private static void Register(ReadOnlySpan<byte> key, nint mm, nint bmm)
    {
        nint library;
        fixed (byte* aten = "aten"u8, dispatchKey = key, file = "TorchAO"u8, mmName = "mm"u8, bmmName = "bmm"u8)
        {
            ulong version = LibtorchExports.AbiVersion();
            LibtorchExports.Check(
                LibtorchExports.NewKernelLibrary(aten, dispatchKey, file, 0, &library), "aoti_torch_library_init_impl");
            LibtorchExports.Check(LibtorchExports.AddKernel(library, mmName, mm, version), "torch_library_impl");
            LibtorchExports.Check(LibtorchExports.AddKernel(library, bmmName, bmm, version), "torch_library_impl");
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nint Mm(ulong* stack, ulong argumentCount, ulong resultCount) => Guard(stack, isBatched: false);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nint Bmm(ulong* stack, ulong argumentCount, ulong resultCount) => Guard(stack, isBatched: true);

    /// <summary>Takes both operands off the stack, leaves the product there; or returns the message of the failure.</summary>
    private static nint Guard(ulong* stack, bool isBatched)
    {
        lastError = null;
        try
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor left = Tensor.UnsafeCreateTensor((nint)stack[0]); // the kernel owns its arguments
            Tensor right = Tensor.UnsafeCreateTensor((nint)stack[1]);
            Tensor product = isBatched ? MultiplyBatch(left, right) : Multiply(left, right);
            stack[0] = (ulong)LibtorchExports.Share(product);
            return 0;
        }
        catch (Exception e) // nothing may cross libtorch's frames; the message goes on as its exception
        {
            lastError = e;
            if (!Throws)
            {
                nint undefined;
                _ = LibtorchExports.NewUndefined(&undefined);
                stack[0] = (ulong)undefined; // any use of it is an error in libtorch
            }

            return NativeThrow.Message($"{e.GetType().Name}: {e.Message}");
        }
    }

    private static Tensor Multiply(Tensor left, Tensor right)
    {
        if (Lookup(right) is QuantizedPlaceholder weight)
        {
            return Apply(weight, left, right);
        }

        weight = Lookup(left) ?? throw Unknown(left, right);
        return Apply(weight, right.t(), left.t()).t(); // P · X = (Xᵀ · Pᵀ)ᵀ
    }

    // functional.linear broadcasts one weight over a batch that cannot be viewed as one matrix.
    private static Tensor MultiplyBatch(Tensor left, Tensor right)
    {
        bool isRight = Lookup(right) is not null;
        QuantizedPlaceholder weight = Lookup(right) ?? Lookup(left) ?? throw Unknown(left, right);
        Tensor input = isRight ? left : right.transpose(1, 2);
        Tensor operand = (isRight ? right : left.transpose(1, 2)).select(0, 0);
        long batch = input.size(0), rows = input.size(1);
        Tensor product = Apply(weight, input.reshape(batch * rows, input.size(2)), operand)
            .reshape(batch, rows, operand.size(1));
        return isRight ? product : product.transpose(1, 2);
    }

    /// <summary>Computes <c>input · operand</c>, the operand being W transposed (forward) or W itself (gradient).</summary>
    private static Tensor Apply(QuantizedPlaceholder weight, Tensor input, Tensor operand)
    {
        // Strides decide for a square weight only: views of size 1 may have any.
        bool isForward = weight.Rows == weight.Columns
            ? operand.stride(0) == 0
            : operand.size(0) == weight.Columns;
        if (isForward)
        {
            weight.RequireFits(input);
        }

        if (input.size(1) != operand.size(0))
        {
            throw new ArgumentException(
                $"an input {TensorMemory.Describe(input)} does not fit a quantized weight [{weight.Rows}, {weight.Columns}]");
        }

        long outputs = operand.size(1);
        if (input.size(0) == 0)
        {
            return empty(0, outputs, dtype: input.dtype, device: input.device);
        }

        Tensor product = isForward ? weight.Forward(input) : weight.InputGradient(input);
        if (product.dim() != 2 || product.size(0) != input.size(0) || product.size(1) != outputs)
        {
            throw new InvalidOperationException(
                $"the callback of a quantized weight [{weight.Rows}, {weight.Columns}] made {TensorMemory.Describe(product)} " +
                $"of an input {TensorMemory.Describe(input)}");
        }

        return product.dtype == input.dtype ? product : product.to(input.dtype);
    }

    private static QuantizedPlaceholder? Lookup(Tensor operand) =>
        operand.dtype == ScalarType.QInt8 && Find(Address(operand)) is { } found && IsView(operand, found) ? found : null;

    // A storage's address may come again after a layer was disposed; only a placeholder's rows have columns in one place.
    private static bool IsView(Tensor operand, QuantizedPlaceholder placeholder)
    {
        (long rows, long columns) = (operand.size(-2), operand.size(-1));
        (long down, long across) = (operand.stride(-2), operand.stride(-1));
        bool isStraight = rows == placeholder.Rows && columns == placeholder.Columns && (across == 0 || columns == 1);
        bool isTransposed = rows == placeholder.Columns && columns == placeholder.Rows && (down == 0 || rows == 1);
        return isStraight || isTransposed;
    }

    /// <summary>Gets the storage's address, which is the key: views of a placeholder never have an offset.</summary>
    public static nint Address(Tensor tensor)
    {
        void* address;
        LibtorchExports.Check(LibtorchExports.DataPointer(tensor.Handle, &address), "aoti_torch_get_data_ptr");
        return (nint)address;
    }

    private static InvalidOperationException Unknown(Tensor left, Tensor right) => new(
        $"no quantized weight belongs to the operands {TensorMemory.Describe(left)} and {TensorMemory.Describe(right)}: " +
        "it was disposed, or its layer was moved or copied; move the model first and quantize it there");
}
