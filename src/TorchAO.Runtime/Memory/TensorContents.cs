using System.Reflection;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Memory;

/// <summary>Gives tensor objects other contents, so that whoever holds the objects sees them.</summary>
/// <remarks>
/// The only way off the meta device that keeps parameters tied: fields, the registers of modules and the caller's own
/// references all point to one object, and libtorch itself refuses to move storage between meta and a real device.
/// </remarks>
public static unsafe class TensorContents
{
    private static readonly FieldInfo Handle = typeof(Tensor).GetField(
        "handle", BindingFlags.Instance | BindingFlags.NonPublic)
        ?? throw new MissingFieldException("TorchSharp's Tensor has no field handle; use TorchSharp 0.107.");

    /// <summary>Makes a tensor object refer to a value; what it referred to before is released.</summary>
    /// <param name="target">The object, such as a parameter on <c>meta</c>.</param>
    /// <param name="value">The contents, in any type and on any device; shared with the target, and disposed by the caller.</param>
    /// <exception cref="ObjectDisposedException">One of the two was disposed.</exception>
    public static void Share(Tensor target, Tensor value)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(value);
        ObjectDisposedException.ThrowIf(target.IsInvalid, target);
        ObjectDisposedException.ThrowIf(value.IsInvalid, value);
        using Tensor other = Again(value);
        object old = Handle.GetValue(target)!;
        Handle.SetValue(target, Handle.GetValue(other));
        Handle.SetValue(other, old);
    }

    /// <summary>Makes another object for the same tensor, gradient and all. The caller disposes it.</summary>
    public static Tensor Again(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return Tensor.UnsafeCreateTensor(LibtorchExports.Share(tensor));
    }

    /// <summary>Gets what two objects have in common exactly if they are one tensor to libtorch, on whatever device.</summary>
    /// <remarks>TorchSharp makes a new object, with a handle of its own, each time a module in libtorch is asked for a parameter.</remarks>
    public static nint Identity(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        nint identity = *(nint*)tensor.Handle; // at::Tensor is one counted pointer
        GC.KeepAlive(tensor);
        return identity;
    }
}
