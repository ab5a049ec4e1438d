using static TorchSharp.torch;

namespace TorchAO.Runtime.Libtorch;

/// <summary>One argument of <see cref="Operator.Call"/>; everything an operator can take converts to it.</summary>
/// <remarks>Layouts and memory formats are given by libtorch's codes (strided is 0, contiguous 0, channels last 2).</remarks>
public readonly struct OperatorArgument
{
    private OperatorArgument(object? value) => Value = value;

    /// <summary>Gets an absent optional argument.</summary>
    public static OperatorArgument None => default;

    /// <summary>Gets the value; <see langword="null"/> where it is absent.</summary>
    internal object? Value { get; }

    /// <summary>Passes a tensor, or none.</summary>
    public static implicit operator OperatorArgument(Tensor? value) => new(value);

    /// <summary>Passes a list of tensors; elements may be absent where the operator allows it.</summary>
    public static implicit operator OperatorArgument(Tensor?[]? value) => new(value);

    /// <summary>Passes an integer.</summary>
    public static implicit operator OperatorArgument(long value) => new(value);

    /// <summary>Passes an integer.</summary>
    public static implicit operator OperatorArgument(int value) => new((long)value);

    /// <summary>Passes a floating-point number.</summary>
    public static implicit operator OperatorArgument(double value) => new(value);

    /// <summary>Passes a truth value.</summary>
    public static implicit operator OperatorArgument(bool value) => new(value);

    /// <summary>Passes a text.</summary>
    public static implicit operator OperatorArgument(string? value) => new(value);

    /// <summary>Passes an element type.</summary>
    public static implicit operator OperatorArgument(ScalarType value) => new(value);

    /// <summary>Passes a device.</summary>
    public static implicit operator OperatorArgument(Device? value) => new(value);

    /// <summary>Passes a list of integers.</summary>
    public static implicit operator OperatorArgument(long[]? value) => new(value);

    /// <summary>Passes a list of floating-point numbers.</summary>
    public static implicit operator OperatorArgument(double[]? value) => new(value);

    /// <summary>Passes a list of truth values.</summary>
    public static implicit operator OperatorArgument(bool[]? value) => new(value);

    /// <summary>Gets the argument as text for messages, such as <c>F32 [2, 3]</c>.</summary>
    public override string ToString() => Value switch
    {
        null => "None",
        Tensor { IsInvalid: true } => "a disposed tensor",
        Tensor tensor => Memory.TensorMemory.Describe(tensor),
        Tensor?[] list => $"{list.Length} tensors",
        ScalarType type => ScalarTypes.NameOf(type),
        string text => $"\"{text}\"",
        long[] list => $"[{string.Join(", ", list)}]",
        double[] list => $"[{string.Join(", ", list)}]",
        bool[] list => $"[{string.Join(", ", list)}]",
        IFormattable number => number.ToString(null, System.Globalization.CultureInfo.InvariantCulture),
        object other => other.ToString()!,
    };
}
