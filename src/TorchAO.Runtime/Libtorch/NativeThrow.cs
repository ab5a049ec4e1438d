using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Turns a failure of a C# kernel into libtorch's own exception, so that its text reaches the caller.</summary>
/// <remarks>
/// A C# exception must not cross libtorch's frames, nor a C++ exception ours, and the stable interface has no error
/// result. So libtorch gets a stub of machine code as its kernel: it calls the C# kernel, which returns a message or 0,
/// and after a message jumps to <c>aoti_torch_check</c>. That one throws where no C# frame and no frame of the stub is
/// left on the stack; libtorch unwinds as from any operator, and TorchSharp makes an exception of it.
/// </remarks>
internal static unsafe partial class NativeThrow
{
    private const int ReadWrite = 3;
    private const int ReadExecute = 5;
    private const int PrivateAnonymous = 0x22;
    private const int PageBytes = 4096;

    [ThreadStatic]
    private static nint messageOfThread;

    /// <summary>Gets whether stubs can be made: Linux on x86-64, where memory may be made executable.</summary>
    public static bool IsSupported =>
        OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64 && RuntimeFeature.IsDynamicCodeCompiled;

    /// <summary>Makes a kernel for libtorch of a function that returns 0, or the message of its failure.</summary>
    /// <param name="kernel">Gets the stack of cells, the counts of arguments and results.</param>
    /// <returns>The address of a stub that lives as long as the process; 0 where the system forbids executable memory.</returns>
    public static nint CreateStub(delegate* unmanaged[Cdecl]<ulong*, ulong, ulong, nint> kernel)
    {
        nint check = LibtorchExports.Optional("aoti_torch_check");
        if (!IsSupported || check == 0)
        {
            return 0;
        }

        nint page = Map(0, PageBytes, ReadWrite, PrivateAnonymous, -1, 0);
        if (page == -1)
        {
            return 0;
        }

        Encode(new Span<byte>((void*)page, PageBytes), (nint)kernel, (nint)Text("torchao"u8), check);
        if (Protect(page, PageBytes, ReadExecute) == 0)
        {
            return page;
        }

        _ = Unmap(page, PageBytes);
        return 0;
    }

    /// <summary>Gives a message to return from a kernel; valid until the next one of this thread.</summary>
    public static nint Message(string message)
    {
        Marshal.FreeCoTaskMem(messageOfThread);
        messageOfThread = Marshal.StringToCoTaskMemUTF8(message);
        return messageOfThread;
    }

    // System V AMD64: arguments in rdi, rsi, rdx, rcx, r8; result in rax; rsp is a multiple of 16 at a call.
    private static void Encode(Span<byte> code, nint kernel, nint place, nint check)
    {
        int at = 0;
        Put(code, ref at, [0xf3, 0x0f, 0x1e, 0xfa]);       // endbr64
        Put(code, ref at, [0x48, 0x83, 0xec, 0x08]);       // sub rsp, 8
        Put(code, ref at, [0x48, 0xb8], kernel);           // mov rax, kernel
        Put(code, ref at, [0xff, 0xd0]);                   // call rax
        Put(code, ref at, [0x48, 0x83, 0xc4, 0x08]);       // add rsp, 8
        Put(code, ref at, [0x48, 0x85, 0xc0]);             // test rax, rax
        Put(code, ref at, [0x75, 0x01]);                   // jnz past the next byte
        Put(code, ref at, [0xc3]);                         // ret
        Put(code, ref at, [0x49, 0x89, 0xc0]);             // mov r8, rax          message
        Put(code, ref at, [0x31, 0xff]);                   // xor edi, edi         the condition that fails
        Put(code, ref at, [0x48, 0xbe], place);            // mov rsi, place       function
        Put(code, ref at, [0x48, 0x89, 0xf2]);             // mov rdx, rsi         file
        Put(code, ref at, [0x31, 0xc9]);                   // xor ecx, ecx         line
        Put(code, ref at, [0x48, 0xb8], check);            // mov rax, check
        Put(code, ref at, [0xff, 0xe0]);                   // jmp rax
    }

    private static void Put(Span<byte> code, ref int at, ReadOnlySpan<byte> bytes, nint? operand = null)
    {
        bytes.CopyTo(code[at..]);
        at += bytes.Length;
        if (operand is nint value)
        {
            BinaryPrimitives.WriteInt64LittleEndian(code[at..], value);
            at += sizeof(long);
        }
    }

    // The literal lies in the assembly's image, which is never unloaded and ends it with a zero.
    private static byte* Text(ReadOnlySpan<byte> literal) => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(literal));

    [LibraryImport("libc", EntryPoint = "mmap")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint Map(nint address, nuint bytes, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Protect(nint address, nuint bytes, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Unmap(nint address, nuint bytes);
}
