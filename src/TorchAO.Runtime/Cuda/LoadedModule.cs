using System.Text;

namespace TorchAO.Runtime.Cuda;

/// <summary>A source's code on one device. Stays until the process ends.</summary>
internal sealed unsafe class LoadedModule
{
    private readonly CudaSource source;
    private readonly nint handle;

    public LoadedModule(CudaSource source, CudaDevice device)
    {
        (this.source, Device) = (source, device);
        CudaBinary binary = source.Compile(device.Architecture);
        using ContextScope scope = device.Enter();
        nint loaded;
        fixed (byte* image = binary.Code.Span)
        {
            CudaDriver.Check(CudaDriver.cuModuleLoadData(&loaded, image), nameof(CudaDriver.cuModuleLoadData), $"{source} for {device}");
        }

        handle = loaded;
    }

    public CudaDevice Device { get; }

    /// <summary>Finds an entry point.</summary>
    /// <exception cref="CudaException">The source has none of this name.</exception>
    public nint Find(string entry)
    {
        using ContextScope scope = Device.Enter();
        nint function;
        fixed (byte* name = Encoding.UTF8.GetBytes(entry + '\0'))
        {
            int code = CudaDriver.cuModuleGetFunction(&function, handle, name);
            return code == 0 ? function : throw CudaException.OfDriver(
                code, nameof(CudaDriver.cuModuleGetFunction), $"{entry} of {source}",
                "The source needs an extern \"C\" __global__ function of this name.");
        }
    }
}
