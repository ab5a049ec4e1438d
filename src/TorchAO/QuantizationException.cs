namespace TorchAO;

/// <summary>A model, a configuration and a device do not fit together.</summary>
/// <remarks>The message says what failed, in which module, what was found, what was expected, and what to do.</remarks>
public sealed class QuantizationException : Exception
{
    /// <summary>Creates the exception.</summary>
    public QuantizationException()
    {
    }

    /// <summary>Creates the exception with a message for the user.</summary>
    public QuantizationException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with a message for the user and its cause.</summary>
    public QuantizationException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }
}
