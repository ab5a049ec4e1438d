using System.Runtime.InteropServices;

namespace TorchAO.Runtime.Memory;

/// <summary>The allocator under libtorch's tensors on the CPU.</summary>
public static unsafe class NativeHeap
{
    private static readonly nint MallocTrim = NativeLibrary.TryGetExport(
        NativeLibrary.GetMainProgramHandle(), "malloc_trim", out nint address) ? address : 0;

    /// <summary>Gives the pages of freed memory back to the operating system, where the allocator can.</summary>
    /// <remarks>
    /// glibc keeps up to 64 MB of what was freed, and the holes between living blocks; work that goes through one large tensor
    /// after another so holds several. Takes about a millisecond. Other allocators return pages by themselves.
    /// </remarks>
    public static void Trim()
    {
        if (MallocTrim != 0)
        {
            _ = ((delegate* unmanaged<nuint, int>)MallocTrim)(0);
        }
    }
}
