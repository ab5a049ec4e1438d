using static TorchSharp.torch;

namespace TorchAO.Runtime.Libtorch;

/// <summary>The numbers of one element type.</summary>
/// <param name="Type">libtorch's code.</param>
/// <param name="Name">The name in safetensors headers, such as <c>F8_E4M3</c>.</param>
/// <param name="Bytes">Bytes an element.</param>
/// <param name="IsFloat">Whether it is floating point.</param>
/// <param name="Largest">The largest finite value; rounded to double for 64-bit integers.</param>
/// <param name="Epsilon">The distance from 1 to the next larger value, as <c>torch.finfo(dtype).eps</c>; 1 for integers
/// and for the powers of two of E8M0.</param>
public sealed record ScalarTypeInfo(
    ScalarType Type, string Name, int Bytes, bool IsFloat, double Largest, double Epsilon);
