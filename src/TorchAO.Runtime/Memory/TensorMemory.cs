using TorchAO.Runtime.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Memory;

/// <summary>The only unsafe door between tensors and addresses.</summary>
/// <remarks>
/// An address or span is valid while the tensor lives and its storage is not resized: end a method that works on
/// addresses with <see cref="GC.KeepAlive"/> of the tensor's owner. Floating-point types of C# must be the tensor's
/// own element type; integer types may stand for the bits of any element of the same size (<see cref="ushort"/> for
/// bfloat16), and <see cref="byte"/> for the raw bytes of any tensor.
/// </remarks>
public static unsafe class TensorMemory
{
    /// <summary>Gets the address of the first element of a contiguous tensor on the CPU.</summary>
    /// <exception cref="ArgumentException">The tensor is on another device, not contiguous, or of a type that
    /// <typeparamref name="T"/> cannot stand for.</exception>
    public static T* Address<T>(Tensor tensor)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (tensor.device_type != DeviceType.CPU)
        {
            throw new ArgumentException(
                $"The tensor {Describe(tensor)} is on {tensor.device}, its memory cannot be read here; copy it with cpu().",
                nameof(tensor));
        }

        RequireContiguous(tensor);
        RequireElement<T>(tensor);
        return (T*)DataPointer(tensor);
    }

    /// <summary>Gets the address of the first element of a contiguous tensor of any device, for kernels of that device.</summary>
    /// <exception cref="ArgumentException">The tensor is not contiguous.</exception>
    public static nint DeviceAddress(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        RequireContiguous(tensor);
        return (nint)DataPointer(tensor);
    }

    /// <summary>Gets the elements of a contiguous tensor on the CPU in row-major order.</summary>
    /// <exception cref="ArgumentException">As <see cref="Address{T}"/>, or more elements than a span can count.</exception>
    public static Span<T> Span<T>(Tensor tensor)
        where T : unmanaged
    {
        T* address = Address<T>(tensor);
        long count = tensor.NumberOfElements * tensor.ElementSize / sizeof(T);
        return count <= int.MaxValue
            ? new Span<T>(address, (int)count)
            : throw new ArgumentException(
                $"The tensor {Describe(tensor)} has {count} elements, a span holds {int.MaxValue}; take it row by row.",
                nameof(tensor));
    }

    /// <summary>As <see cref="Span{T}"/>, to be read only.</summary>
    /// <exception cref="ArgumentException">As <see cref="Span{T}"/>.</exception>
    public static ReadOnlySpan<T> ReadOnlySpan<T>(Tensor tensor)
        where T : unmanaged => Span<T>(tensor);

    /// <summary>Makes a tensor over memory that is not libtorch's, such as a mapped file. Nothing is copied.</summary>
    /// <param name="address">The first element, on the CPU.</param>
    /// <param name="shape">The shape of the contiguous row-major data.</param>
    /// <param name="type">The element type.</param>
    /// <param name="owner">What keeps the memory valid; kept alive until the last tensor and view over it is gone.</param>
    /// <param name="released">Runs when libtorch has dropped the last of them, on its thread; it must not throw.</param>
    /// <returns>The tensor. The caller disposes it; that never frees the memory itself.</returns>
    /// <exception cref="ArgumentException">A size is negative, or the address is 0 though there are elements.</exception>
    public static Tensor FromBlob(nint address, ReadOnlySpan<long> shape, ScalarType type, object owner, Action? released = null)
    {
        ArgumentNullException.ThrowIfNull(owner);
        long count = 1;
        foreach (long size in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(size, nameof(shape));
            count = checked(count * size);
        }

        if (address == 0 && count > 0)
        {
            throw new ArgumentException($"The address is 0 though the shape holds {count} elements.", nameof(address));
        }

        return BorrowedStorage.CreateTensor(address, shape, type, owner, released);
    }

    /// <summary>Describes a tensor for messages, such as <c>F32 [3, 4]</c>.</summary>
    public static string Describe(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return $"{ScalarTypes.NameOf(tensor.dtype)} [{string.Join(", ", tensor.shape)}]";
    }

    private static void* DataPointer(Tensor tensor)
    {
        void* address;
        LibtorchExports.Check(LibtorchExports.DataPointer(tensor.Handle, &address), "aoti_torch_get_data_ptr");
        GC.KeepAlive(tensor);
        return address;
    }

    private static void RequireContiguous(Tensor tensor)
    {
        if (!tensor.is_contiguous())
        {
            throw new ArgumentException(
                $"The tensor {Describe(tensor)} has strides [{string.Join(", ", tensor.stride())}]; make it contiguous first.",
                nameof(tensor));
        }
    }

    private static void RequireElement<T>(Tensor tensor)
        where T : unmanaged
    {
        ScalarType type = tensor.dtype;
        bool fits = typeof(T) == typeof(byte)
            || (typeof(T) == typeof(float) ? type == ScalarType.Float32
                : typeof(T) == typeof(double) ? type == ScalarType.Float64
                : typeof(T) == typeof(Half) ? type == ScalarType.Float16
                : typeof(T) == typeof(BFloat16) ? type == ScalarType.BFloat16
                : typeof(T) == typeof(bool) ? type == ScalarType.Bool
                : sizeof(T) == tensor.ElementSize);
        if (!fits)
        {
            throw new ArgumentException(
                $"The tensor {Describe(tensor)} of {tensor.ElementSize} bytes an element cannot be read as {typeof(T).Name}.",
                nameof(tensor));
        }
    }
}
