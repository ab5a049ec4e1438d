using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Storages over foreign memory; each holds its owner until libtorch drops the last reference.</summary>
internal static unsafe partial class BorrowedStorage
{
    // libtorch hands the deleter an address only, and two storages may share one: so each has a delegate of its own,
    // rooted here with its owner until it has run.
    private static readonly ConcurrentDictionary<Release, object> Live = new();

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate void Release(nint address);

    /// <summary>Gets how many storages libtorch still holds.</summary>
    public static int Count => Live.Count;

    public static Tensor CreateTensor(nint address, ReadOnlySpan<long> shape, ScalarType type, object owner)
    {
        NativeLoader.EnsureLoaded();
        InitializeDeviceType(DeviceType.CPU);
        Release? release = null;
        release = _ => Live.TryRemove(release!, out object? _);
        Live[release] = owner;
        nint handle;
        fixed (long* sizes = shape)
        {
            long none = 0;
            handle = NewFromBlob(
                address, Marshal.GetFunctionPointerForDelegate(release), sizes == null ? &none : sizes, shape.Length,
                (sbyte)type, (sbyte)type, deviceType: 0, deviceIndex: -1, requiresGrad: 0);
        }

        if (handle == 0)
        {
            Live.TryRemove(release, out object? _);
            CheckForErrors();
        }

        return Tensor.UnsafeCreateTensor(handle);
    }

    // The one TorchSharp function called past its managed face, which offers no owner.
    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_new")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories | DllImportSearchPath.AssemblyDirectory)]
    private static partial nint NewFromBlob(
        nint data, nint deleter, long* sizes, int count, sbyte sourceType, sbyte type, int deviceType, int deviceIndex,
        byte requiresGrad);
}
