using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Libtorch;

/// <summary>The C entry points of libtorch that this assembly calls, looked up once.</summary>
/// <remarks>
/// A handle is an <c>at::Tensor*</c>, the same thing as <c>Tensor.Handle</c>. All return 0 for success unless noted.
/// Source: <c>torch/csrc/inductor/aoti_torch/c/shim.h</c> and <c>torch/csrc/stable/c/shim.h</c> of PyTorch 2.10.
/// </remarks>
internal static unsafe class LibtorchExports
{
    private static readonly nint Library = Open();

    // Tensors: the handles given are borrowed.
    public static readonly delegate* unmanaged<nint, nint*, int> NewHandle =
        (delegate* unmanaged<nint, nint*, int>)Export("aoti_torch_new_tensor_handle");
    public static readonly delegate* unmanaged<nint, int> DeleteHandle =
        (delegate* unmanaged<nint, int>)Export("aoti_torch_delete_tensor_object");
    public static readonly delegate* unmanaged<nint*, int> NewUndefined =
        (delegate* unmanaged<nint*, int>)Export("aoti_torch_new_uninitialized_tensor");
    public static readonly delegate* unmanaged<nint, void**, int> DataPointer =
        (delegate* unmanaged<nint, void**, int>)Export("aoti_torch_get_data_ptr");

    // Threads: the body gets [begin, end) and the context.
    public static readonly delegate* unmanaged<long, long, long, delegate* unmanaged[Cdecl]<long, long, void*, void>, void*, int>
        ParallelFor =
        (delegate* unmanaged<long, long, long, delegate* unmanaged[Cdecl]<long, long, void*, void>, void*, int>)
        Export("torch_parallel_for");
    public static readonly delegate* unmanaged<uint*, int> ThreadCount =
        (delegate* unmanaged<uint*, int>)Export("torch_get_num_threads");

    // Operators: name, overload, stack, version of the headers.
    public static readonly delegate* unmanaged<byte*, byte*, ulong*, ulong, int> CallDispatcher =
        (delegate* unmanaged<byte*, byte*, ulong*, ulong, int>)Export("torch_call_dispatcher");
    public static readonly delegate* unmanaged<ulong> AbiVersion =
        (delegate* unmanaged<ulong>)Export("aoti_torch_abi_version");

    // Lists of 64-bit cells, and strings on libtorch's heap.
    public static readonly delegate* unmanaged<nuint, nint*, int> NewList =
        (delegate* unmanaged<nuint, nint*, int>)Export("torch_new_list_reserve_size");
    public static readonly delegate* unmanaged<nint, ulong, int> PushBack =
        (delegate* unmanaged<nint, ulong, int>)Export("torch_list_push_back");
    public static readonly delegate* unmanaged<nint, nuint*, int> ListSize =
        (delegate* unmanaged<nint, nuint*, int>)Export("torch_list_size");
    public static readonly delegate* unmanaged<nint, nuint, ulong*, int> ListItem =
        (delegate* unmanaged<nint, nuint, ulong*, int>)Export("torch_list_get_item");
    public static readonly delegate* unmanaged<nint, int> DeleteList =
        (delegate* unmanaged<nint, int>)Export("torch_delete_list");
    public static readonly delegate* unmanaged<byte*, nuint, nint*, int> NewString =
        (delegate* unmanaged<byte*, nuint, nint*, int>)Export("torch_new_string_handle");
    public static readonly delegate* unmanaged<nint, byte**, int> StringText =
        (delegate* unmanaged<nint, byte**, int>)Export("torch_string_c_str");
    public static readonly delegate* unmanaged<nint, nuint*, int> StringLength =
        (delegate* unmanaged<nint, nuint*, int>)Export("torch_string_length");
    public static readonly delegate* unmanaged<nint, int> DeleteString =
        (delegate* unmanaged<nint, int>)Export("torch_delete_string");

    // Own kernels: namespace, dispatch key, file, line; then operator name, kernel, version.
    public static readonly delegate* unmanaged<byte*, byte*, byte*, uint, nint*, int> NewKernelLibrary =
        (delegate* unmanaged<byte*, byte*, byte*, uint, nint*, int>)Export("aoti_torch_library_init_impl");
    public static readonly delegate* unmanaged<nint, byte*, nint, ulong, int> AddKernel =
        (delegate* unmanaged<nint, byte*, nint, ulong, int>)Export("torch_library_impl");

    /// <summary>Finds an entry point that not every version has; 0 where it is absent.</summary>
    public static nint Optional(string name) => NativeLibrary.TryGetExport(Library, name, out nint address) ? address : 0;

    /// <summary>Makes a handle of our own to a tensor: one more reference, to be given away or deleted.</summary>
    public static nint Share(Tensor tensor)
    {
        nint handle;
        Check(NewHandle(tensor.Handle, &handle), "aoti_torch_new_tensor_handle");
        GC.KeepAlive(tensor);
        return handle;
    }

    /// <summary>Throws where an entry point that cannot fail in a sound process did.</summary>
    public static void Check(int status, string function)
    {
        if (status != 0)
        {
            throw new InvalidOperationException($"{function} failed with status {status}; its reason is on standard error.");
        }
    }

    private static nint Export(string name) => NativeLibrary.TryGetExport(Library, name, out nint address)
        ? address
        : throw new EntryPointNotFoundException(
            $"libtorch of {NativeLoader.Report?.LibtorchFolder} has no {name}. TorchAO needs PyTorch 2.10 or newer: update " +
            $"the libtorch package or the folder that {NativeSearch.LibtorchVariable} names.");

    // TorchSharp must have loaded its libraries first: a library of that name then means the one already in the process.
    private static nint Open()
    {
        NativeLoader.EnsureLoaded();
        InitializeDeviceType(TorchSharp.DeviceType.CPU);
        return NativeLibrary.Load(
            OperatingSystem.IsWindows() ? "torch_cpu.dll"
            : OperatingSystem.IsMacOS() ? "libtorch_cpu.dylib"
            : "libtorch_cpu.so");
    }
}
