using System.Runtime.InteropServices;
using System.Runtime.InteropServices.Marshalling;
using System.Text;

namespace TorchAO.Runtime.Cuda;

/// <summary>NVRTC: a kernel's source in, machine code out.</summary>
/// <remarks>Source: <c>nvrtc.h</c> of CUDA 12 and 13. No toolkit headers are given to it, so none can be included.</remarks>
internal static unsafe partial class Nvrtc
{
    // Functions without __global__ are for the device: our headers are compiled for it alone.
    private static readonly string[] CommonOptions = ["--std=c++17", "-default-device", "--generate-line-info"];

    static Nvrtc() => CudaLibraries.Register();

    /// <summary>Gets whether there is a compiler on this system.</summary>
    public static bool IsPresent => CudaLibraries.CompilerLibrary.Handle != 0;

    /// <summary>Gets the version of the compiler, 13.0 for example.</summary>
    /// <exception cref="CudaException">There is none; the message says where it was looked for.</exception>
    public static Version Version
    {
        get
        {
            RequirePresent();
            int major, minor;
            Check(nvrtcVersion(&major, &minor), nameof(nvrtcVersion));
            return new Version(major, minor);
        }
    }

    /// <summary>Gets all options that a source is compiled with.</summary>
    public static string[] Options(string architecture, IEnumerable<string> own) =>
        [$"--gpu-architecture={architecture}", .. CommonOptions, .. own];

    /// <summary>Compiles a source to machine code.</summary>
    /// <exception cref="CudaException">There is no compiler, or it refuses the source; the message has its words.</exception>
    public static CudaBinary Compile(CudaSource source, string architecture)
    {
        RequirePresent();
        nint program = 0;
        nint[] texts = new nint[source.Headers.Count], names = new nint[source.Headers.Count];
        string[] options = Options(architecture, source.Options);
        nint[] arguments = new nint[options.Length];
        try
        {
            for (int i = 0; i < texts.Length; i++)
            {
                texts[i] = Utf8(source.Headers[i].Text);
                names[i] = Utf8(source.Headers[i].Name);
            }

            for (int i = 0; i < arguments.Length; i++)
            {
                arguments[i] = Utf8(options[i]);
            }

            fixed (nint* text = texts, name = names, argument = arguments)
            {
                Check(nvrtcCreateProgram(&program, source.Text, source.Name, texts.Length, text, name), nameof(nvrtcCreateProgram));
                int status = nvrtcCompileProgram(program, arguments.Length, argument);
                string log = Log(program);
                return status == 0
                    ? new CudaBinary(architecture, Code(program), log)
                    : throw CudaException.OfCompiler(status, ErrorName(status), source.Name, architecture, log);
            }
        }
        finally
        {
            if (program != 0)
            {
                _ = nvrtcDestroyProgram(&program);
            }

            foreach (nint text in (IEnumerable<nint>)[.. texts, .. names, .. arguments])
            {
                Utf8StringMarshaller.Free((byte*)text);
            }
        }
    }

    private static void RequirePresent()
    {
        if (!IsPresent)
        {
            throw CudaLibraries.CompilerLibrary.Missing();
        }
    }

    private static nint Utf8(string text) => (nint)Utf8StringMarshaller.ConvertToUnmanaged(text);

    private static string Log(nint program)
    {
        nuint length;
        Check(nvrtcGetProgramLogSize(program, &length), nameof(nvrtcGetProgramLogSize));
        byte[] log = new byte[length];
        fixed (byte* first = log)
        {
            Check(nvrtcGetProgramLog(program, first), nameof(nvrtcGetProgramLog));
        }

        return Encoding.UTF8.GetString(log).TrimEnd('\0');
    }

    private static byte[] Code(nint program)
    {
        nuint length;
        Check(nvrtcGetCUBINSize(program, &length), nameof(nvrtcGetCUBINSize));
        byte[] code = new byte[length];
        fixed (byte* first = code)
        {
            Check(nvrtcGetCUBIN(program, first), nameof(nvrtcGetCUBIN));
        }

        return code;
    }

    private static string ErrorName(int status) => Marshal.PtrToStringUTF8((nint)nvrtcGetErrorString(status)) ?? "an unknown error";

    private static void Check(int status, string function)
    {
        if (status != 0)
        {
            throw new CudaException($"{function} of {CudaLibraries.CompilerLibrary.Path} failed with {ErrorName(status)} ({status}).");
        }
    }

    [LibraryImport(CudaLibraries.Compiler)]
    private static partial int nvrtcVersion(int* major, int* minor);

    [LibraryImport(CudaLibraries.Compiler)]
    private static partial byte* nvrtcGetErrorString(int status);

    [LibraryImport(CudaLibraries.Compiler, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int nvrtcCreateProgram(nint* program, string source, string name, int headers, nint* texts, nint* names);

    [LibraryImport(CudaLibraries.Compiler)]
    private static partial int nvrtcCompileProgram(nint program, int count, nint* options);

    [LibraryImport(CudaLibraries.Compiler)]
    private static partial int nvrtcDestroyProgram(nint* program);

    [LibraryImport(CudaLibraries.Compiler)]
    private static partial int nvrtcGetProgramLogSize(nint program, nuint* length);

    [LibraryImport(CudaLibraries.Compiler)]
    private static partial int nvrtcGetProgramLog(nint program, byte* log);

    [LibraryImport(CudaLibraries.Compiler)]
    private static partial int nvrtcGetCUBINSize(nint program, nuint* length);

    [LibraryImport(CudaLibraries.Compiler)]
    private static partial int nvrtcGetCUBIN(nint program, byte* code);
}
