using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchAO.Runtime.Cuda;

/// <summary>The functions of the CUDA driver that this assembly calls, under their own names.</summary>
/// <remarks>All return a <c>CUresult</c>, 0 for success. Source: <c>cuda.h</c> of CUDA 12.4 and newer.</remarks>
internal static unsafe partial class CudaDriver
{
    public const int NotInitialized = 3;
    public const int NoDevice = 100;
    public const int NotReady = 600;
    public const int InvalidValue = 1;

    static CudaDriver() => CudaLibraries.Register();

    /// <summary>Gets why the driver cannot be used, or <see langword="null"/> where it can. Starts it at the first call.</summary>
    public static string? AbsenceReason => Boot.Reason;

    /// <summary>Throws where a call failed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Check(int code, string function, string? kernel = null)
    {
        if (code != 0)
        {
            throw CudaException.OfDriver(code, function, kernel);
        }
    }

    /// <summary>Gets the driver's name and words of an error.</summary>
    public static (string Name, string Text) Describe(int code)
    {
        byte* name = null, text = null;
        if (CudaLibraries.DriverLibrary.Handle == 0
            || cuGetErrorName(code, &name) != 0
            || cuGetErrorString(code, &text) != 0)
        {
            return ("CUDA_ERROR", "an error that this driver does not know.");
        }

        string words = Marshal.PtrToStringUTF8((nint)text)!;
        return (Marshal.PtrToStringUTF8((nint)name)!, words.EndsWith('.') ? words : words + ".");
    }

    // A class of its own: the driver starts when its state is first asked for, not when a constant is read.
    private static class Boot
    {
        public static readonly string? Reason = Start();

        private static string? Start()
        {
            if (CudaLibraries.DriverLibrary.Reason is { } missing)
            {
                return missing;
            }

            int code = cuInit(0);
            return code switch
            {
                0 => null,
                NoDevice => "the CUDA driver sees no device; check CUDA_VISIBLE_DEVICES, and that this container was given one",
                _ => $"the CUDA driver does not start: {Describe(code).Name} ({code}), {Describe(code).Text}",
            };
        }
    }

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuInit(uint flags);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuDriverGetVersion(int* version);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuGetErrorName(int code, byte** name);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuGetErrorString(int code, byte** text);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuDeviceGetCount(int* count);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuDeviceGet(int* device, int ordinal);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuDeviceGetName(byte* name, int length, int device);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuDeviceGetAttribute(int* value, int attribute, int device);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuDeviceTotalMem_v2(nuint* bytes, int device);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuDevicePrimaryCtxRetain(nint* context, int device);

    [LibraryImport(CudaLibraries.Driver), SuppressGCTransition]
    public static partial int cuCtxGetCurrent(nint* context);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuCtxSetCurrent(nint context);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuCtxSynchronize();

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuMemGetInfo_v2(nuint* free, nuint* total);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuModuleLoadData(nint* module, void* image);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuModuleGetFunction(nint* function, nint module, byte* name);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuFuncGetAttribute(int* value, int attribute, nint function);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuFuncSetAttribute(nint function, int attribute, int value);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuFuncGetParamInfo(nint function, nuint index, nuint* offset, nuint* size);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, nint function, int threads, nuint sharedBytes);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuLaunchKernelEx(LaunchConfig* config, nint function, void** parameters, void** extra);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuTensorMapEncodeTiled(
        TensorMap* map, int type, uint rank, void* address, ulong* sizes, ulong* strides, uint* box, uint* steps, int interleave, int swizzle, int promotion, int fill);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuStreamCreate(nint* stream, uint flags);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuStreamDestroy_v2(nint stream);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuStreamSynchronize(nint stream);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuStreamWaitEvent(nint stream, nint @event, uint flags);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuStreamBeginCapture_v2(nint stream, int mode);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuStreamEndCapture(nint stream, nint* graph);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuGraphGetNodes(nint graph, nint* nodes, nuint* count);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuGraphInstantiateWithFlags(nint* executable, nint graph, ulong flags);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuGraphUpload(nint executable, nint stream);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuGraphLaunch(nint executable, nint stream);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuGraphExecDestroy(nint executable);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuGraphDestroy(nint graph);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuEventCreate(nint* @event, uint flags);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuEventDestroy_v2(nint @event);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuEventRecord(nint @event, nint stream);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuEventQuery(nint @event);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuEventSynchronize(nint @event);

    [LibraryImport(CudaLibraries.Driver)]
    public static partial int cuEventElapsedTime(float* milliseconds, nint start, nint end);

    /// <summary><c>CUlaunchConfig</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct LaunchConfig
    {
        public uint GridX, GridY, GridZ;
        public uint BlockX, BlockY, BlockZ;
        public uint SharedBytes;
        public nint Stream;
        public LaunchAttribute* Attributes;
        public uint AttributeCount;
    }

    /// <summary><c>CUlaunchAttribute</c>: an identity, and 64 bytes of which each attribute uses the first.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 72)]
    internal struct LaunchAttribute
    {
        public const int Cooperative = 2;
        public const int ClusterDimension = 4;
        public const int ProgrammaticStreamSerialization = 6;

        [FieldOffset(0)]
        public int Id;
        [FieldOffset(8)]
        public uint X;
        [FieldOffset(12)]
        public uint Y;
        [FieldOffset(16)]
        public uint Z;
    }
}
