using System.Runtime.InteropServices;

namespace TorchAO.Peers.Ggml;

/// <summary>The C functions of ggml that the benchmark calls, all with opaque handles, so that no layout of a version matters.</summary>
internal static unsafe partial class GgmlNative
{
    /// <summary>The library of tensors, graphs and quantization; <see cref="GgmlLibrary"/> says where it lies.</summary>
    public const string Tensors = "ggml-base";

    /// <summary>The registry of devices.</summary>
    public const string Registry = "ggml";

    /// <summary>The kernels for this processor.</summary>
    public const string Processor = "ggml-cpu";

    [LibraryImport(Tensors, EntryPoint = "ggml_log_set")]
    public static partial void SetLog(delegate* unmanaged<int, byte*, void*, void> write, void* state);

    [LibraryImport(Tensors, EntryPoint = "ggml_init")]
    public static partial nint Init(ContextSize size);

    [LibraryImport(Tensors, EntryPoint = "ggml_free")]
    public static partial void Free(nint context);

    [LibraryImport(Tensors, EntryPoint = "ggml_new_tensor_2d")]
    public static partial nint NewTensor(nint context, int type, long columns, long rows);

    [LibraryImport(Tensors, EntryPoint = "ggml_mul_mat")]
    public static partial nint Multiply(nint context, nint weight, nint activations);

    [LibraryImport(Tensors, EntryPoint = "ggml_new_graph")]
    public static partial nint NewGraph(nint context);

    [LibraryImport(Tensors, EntryPoint = "ggml_build_forward_expand")]
    public static partial void Expand(nint graph, nint tensor);

    [LibraryImport(Tensors, EntryPoint = "ggml_nbytes")]
    public static partial nuint Bytes(nint tensor);

    [LibraryImport(Tensors, EntryPoint = "ggml_quantize_chunk")]
    public static partial nuint Quantize(int type, float* from, void* to, long start, long rows, long columns, float* importance);

    [LibraryImport(Tensors, EntryPoint = "ggml_threadpool_params_init")]
    public static partial void InitThreads(void* parameters, int count);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_alloc_ctx_tensors_from_buft")]
    public static partial nint Allocate(nint context, nint bufferType);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_buffer_free")]
    public static partial void FreeBuffer(nint buffer);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_buft_name")]
    public static partial nint BufferTypeName(nint bufferType);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_tensor_set")]
    public static partial void Write(nint tensor, void* from, nuint offset, nuint bytes);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_tensor_get")]
    public static partial void Read(nint tensor, void* to, nuint offset, nuint bytes);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_graph_compute")]
    public static partial int Compute(nint backend, nint graph);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_free")]
    public static partial void FreeBackend(nint backend);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_dev_init")]
    public static partial nint InitDevice(nint device, byte* parameters);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_dev_buffer_type")]
    public static partial nint BufferType(nint device);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_dev_supports_op")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool Supports(nint device, nint operation);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_dev_backend_reg")]
    public static partial nint RegistryOf(nint device);

    [LibraryImport(Tensors, EntryPoint = "ggml_backend_reg_get_proc_address", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint Procedure(nint registry, string name);

    [LibraryImport(Tensors, EntryPoint = "ggml_version")]
    public static partial nint Version();

    [LibraryImport(Registry, EntryPoint = "ggml_backend_load_all_from_path", StringMarshalling = StringMarshalling.Utf8)]
    public static partial void LoadAll(string folder);

    [LibraryImport(Registry, EntryPoint = "ggml_backend_dev_by_type")]
    public static partial nint DeviceOf(int type);

    [LibraryImport(Processor, EntryPoint = "ggml_threadpool_new")]
    public static partial nint NewThreads(void* parameters);

    [LibraryImport(Processor, EntryPoint = "ggml_threadpool_free")]
    public static partial void FreeThreads(nint threads);

    [LibraryImport(Processor, EntryPoint = "ggml_threadpool_pause")]
    public static partial void Pause(nint threads);

    [LibraryImport(Processor, EntryPoint = "ggml_threadpool_resume")]
    public static partial void Resume(nint threads);

    [LibraryImport(Processor, EntryPoint = "ggml_backend_cpu_set_n_threads")]
    public static partial void SetThreadCount(nint backend, int count);

    [LibraryImport(Processor, EntryPoint = "ggml_backend_cpu_set_threadpool")]
    public static partial void SetThreads(nint backend, nint threads);

    /// <summary>The argument of <c>ggml_init</c>: room for the descriptions of tensors and graphs, not for their data.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ContextSize(nuint bytes)
    {
        public nuint Bytes = bytes;
        public nint Buffer;
        public byte LeavesDataOut = 1;
        private readonly byte a, b, c, d, e, f, g;
    }
}
