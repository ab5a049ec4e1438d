using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden;

/// <summary>Element types under the names of the index and of safetensors headers.</summary>
internal static class GoldenDtype
{
    public static ScalarType Parse(string name) => name switch
    {
        "float64" or "F64" => ScalarType.Float64,
        "float32" or "F32" => ScalarType.Float32,
        "float16" or "F16" => ScalarType.Float16,
        "bfloat16" or "BF16" => ScalarType.BFloat16,
        "int64" or "I64" => ScalarType.Int64,
        "int32" or "I32" => ScalarType.Int32,
        "int16" or "I16" => ScalarType.Int16,
        "int8" or "I8" => ScalarType.Int8,
        "uint8" or "U8" => ScalarType.Byte,
        "bool" or "BOOL" => ScalarType.Bool,
        "float8_e5m2" or "F8_E5M2" => ScalarTypes.Float8E5M2,
        "float8_e4m3fn" or "F8_E4M3" => ScalarTypes.Float8E4M3,
        "float8_e5m2fnuz" => (ScalarType)25,
        "float8_e4m3fnuz" => (ScalarType)26,
        _ => throw new NotSupportedException($"The index names an element type that is not known: {name}"),
    };
}
