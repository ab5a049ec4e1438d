using System.Text;

namespace TorchAO.Runtime.Cuda;

/// <summary>The CUDA driver, its compiler or a kernel failed.</summary>
/// <remarks>
/// After some errors (an illegal address, a failed assertion in a kernel) the driver refuses every later call of the process; the
/// call that reports it is then not the one that caused it, since kernels run later than their launch.
/// </remarks>
public sealed class CudaException : Exception
{
    /// <summary>Creates the exception.</summary>
    public CudaException()
    {
    }

    /// <summary>Creates the exception with a message for the user.</summary>
    public CudaException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with a message for the user and its cause.</summary>
    public CudaException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Gets the number of the error as the driver or the compiler gave it; 0 where neither was asked.</summary>
    public int Code { get; private init; }

    /// <summary>Gets the name of the error, such as <c>CUDA_ERROR_OUT_OF_MEMORY</c>; <see langword="null"/> where it has none.</summary>
    public string? ErrorName { get; private init; }

    /// <summary>Gets the kernel or its source, where the error belongs to one.</summary>
    public string? Kernel { get; private init; }

    /// <summary>Gets what the compiler said, where it was asked.</summary>
    public string? CompilerLog { get; private init; }

    /// <summary>Makes the exception of a failed call to the driver.</summary>
    internal static CudaException OfDriver(int code, string function, string? kernel, string? advice = null)
    {
        (string name, string text) = CudaDriver.Describe(code);
        var message = new StringBuilder($"{function} failed with {name} ({code}): {text}");
        if (kernel is not null)
        {
            message.Append(" Kernel: ").Append(kernel).Append('.');
        }

        if (advice is not null)
        {
            message.Append(' ').Append(advice);
        }

        return new CudaException(message.ToString()) { Code = code, ErrorName = name, Kernel = kernel };
    }

    /// <summary>Makes the exception of a source that the compiler refused.</summary>
    internal static CudaException OfCompiler(int code, string name, string source, string architecture, string log) => new(
        $"{source} does not compile for {architecture} ({name}):{Environment.NewLine}{log.Trim()}")
    {
        Code = code,
        ErrorName = name,
        Kernel = source,
        CompilerLog = log,
    };
}
