using System.Runtime.InteropServices;

namespace TorchAO.Peers.Llama;

/// <summary>The C functions of llama.cpp that the benchmark calls.</summary>
/// <remarks>
/// Structures of parameters differ from version to version. They are taken as blocks of bytes larger than any of them, filled by
/// the library's own defaults and handed back as they are; of their fields only the first, the length of the context, is set.
/// </remarks>
internal static unsafe partial class LlamaNative
{
    /// <summary>The library.</summary>
    public const string Library = "llama";

    [LibraryImport(Library, EntryPoint = "llama_log_set")]
    public static partial void SetLog(delegate* unmanaged<int, byte*, void*, void> write, void* state);

    [LibraryImport(Library, EntryPoint = "llama_model_default_params")]
    public static partial nint DefaultModel(Parameters* parameters);

    [LibraryImport(Library, EntryPoint = "llama_context_default_params")]
    public static partial nint DefaultContext(Parameters* parameters);

    [LibraryImport(Library, EntryPoint = "llama_model_load_from_file", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint Load(string path, Parameters parameters);

    [LibraryImport(Library, EntryPoint = "llama_model_free")]
    public static partial void FreeModel(nint model);

    [LibraryImport(Library, EntryPoint = "llama_model_size")]
    public static partial ulong ModelBytes(nint model);

    [LibraryImport(Library, EntryPoint = "llama_init_from_model")]
    public static partial nint NewContext(nint model, Parameters parameters);

    [LibraryImport(Library, EntryPoint = "llama_free")]
    public static partial void FreeContext(nint context);

    [LibraryImport(Library, EntryPoint = "llama_n_ctx")]
    public static partial uint ContextLength(nint context);

    [LibraryImport(Library, EntryPoint = "llama_set_n_threads")]
    public static partial void SetThreadCount(nint context, int decode, int prefill);

    [LibraryImport(Library, EntryPoint = "llama_attach_threadpool")]
    public static partial void SetThreads(nint context, nint decode, nint prefill);

    [LibraryImport(Library, EntryPoint = "llama_get_memory")]
    public static partial nint Memory(nint context);

    [LibraryImport(Library, EntryPoint = "llama_memory_seq_rm")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool Forget(nint memory, int sequence, int from, int to);

    [LibraryImport(Library, EntryPoint = "llama_decode")]
    public static partial int Decode(nint context, Batch batch);

    [LibraryImport(Library, EntryPoint = "llama_get_logits_ith")]
    public static partial float* Logits(nint context, int index);

    /// <summary>Tokens of one sequence behind what the context holds; scores of the last are wanted. Absent arrays mean just that.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Batch(int count, int* tokens)
    {
        public int Count = count;
        public int* Tokens = tokens;
        private readonly nint embeddings, positions, sequenceCounts, sequences, wanted;
    }

    /// <summary>A structure of parameters of any version. The calling convention of x86-64 on Linux passes and returns it in memory, so
    /// that a longer block than the library reads does no harm.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Parameters
    {
        private fixed ulong cells[64];

        /// <summary>Sets the first field of the context's parameters: how many tokens it holds.</summary>
        public void SetContextLength(int tokens)
        {
            fixed (ulong* first = cells)
            {
                *(uint*)first = (uint)tokens;
            }
        }
    }
}
