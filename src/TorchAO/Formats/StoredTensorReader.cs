using System.Text.Json.Nodes;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>Takes a stored tensor apart and checks every piece; a piece that does not fit is an error that names it.</summary>
internal sealed class StoredTensorReader
{
    /// <summary>The parameter that says what kind the zero points are; see <see cref="DomainText"/>.</summary>
    public const string DomainParameter = "zero_point_domain";

    private readonly StoredTensor stored;
    private readonly string format;

    /// <summary>Creates a reader.</summary>
    /// <param name="stored">What the checkpoint holds.</param>
    /// <param name="format">The format's name, for messages.</param>
    /// <exception cref="QuantizationException">The logical shape is no matrix, or the type is not one that we quantize.</exception>
    public StoredTensorReader(StoredTensor stored, string format)
    {
        this.stored = stored;
        this.format = format;
        if (stored.Shape is not [> 0, > 0])
        {
            throw Wrong("shape", $"[{string.Join(", ", stored.Shape)}]", "[out_features, in_features], both positive");
        }

        // float64 is what model.to(float64) leaves behind; such a layer may be saved too.
        if (!IsWeightType(stored.DType) && stored.DType != ScalarType.Float64)
        {
            throw Wrong("dtype", ScalarTypes.NameOf(stored.DType), "F32, BF16, F16 or F64");
        }
    }

    /// <summary>Gets N.</summary>
    public long OutFeatures => stored.Shape[0];

    /// <summary>Gets K.</summary>
    public long InFeatures => stored.Shape[1];

    /// <summary>Gets whether weights of this type are quantized at all.</summary>
    public static bool IsWeightType(ScalarType type) =>
        type is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16;

    /// <summary>Writes what kind a zero point is.</summary>
    public static string DomainText(Tensor? zeroPoint) => UnsignedCodes.DomainOf(zeroPoint) switch
    {
        Primitives.ZeroPointDomain.None => "none",
        Primitives.ZeroPointDomain.Float => "float",
        _ => "integer",
    };

    /// <summary>Demands that the components and parameters are those named and no others.</summary>
    public void RequireExactly(IReadOnlyList<string> components, IReadOnlyList<string> parameters)
    {
        RequireSame("components", stored.Components.Keys, components);
        RequireSame("parameters", stored.Parameters.Select(parameter => parameter.Key), parameters);
    }

    /// <summary>Gets a component after a check of type and shape.</summary>
    public Tensor Component(string name, IReadOnlyList<long> shape, params IReadOnlyList<ScalarType> types)
    {
        if (!stored.Components.TryGetValue(name, out Tensor? value))
        {
            throw Wrong("components", string.Join(", ", stored.Components.Keys), $"one named '{name}'");
        }

        if (!value.shape.AsSpan().SequenceEqual([.. shape]))
        {
            throw Wrong(name, $"shape [{string.Join(", ", value.shape)}]", $"[{string.Join(", ", shape)}]");
        }

        if (!types.Contains(value.dtype))
        {
            throw Wrong(name, ScalarTypes.NameOf(value.dtype), string.Join(" or ", types.Select(ScalarTypes.NameOf)));
        }

        return value.is_contiguous() ? value : throw Wrong(name, "strided memory", "contiguous rows");
    }

    /// <summary>Gets a component that holds floating-point parameters: scales or zero points.</summary>
    public Tensor Scales(string name, params IReadOnlyList<long> shape) =>
        Component(name, shape, ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16);

    /// <summary>Gets the group size, which must divide a row.</summary>
    public long GroupSize()
    {
        long groupSize = Parameter<long>("group_size");
        return groupSize > 0 && InFeatures % groupSize == 0
            ? groupSize
            : throw Wrong("group_size", $"{groupSize}", $"a positive divisor of in_features {InFeatures}");
    }

    /// <summary>Gets what kind the zero points are: none, values or codes.</summary>
    public ZeroPointDomain ZeroPointDomain() => Parameter<string>(DomainParameter) switch
    {
        "none" => Primitives.ZeroPointDomain.None,
        "float" => Primitives.ZeroPointDomain.Float,
        "integer" => Primitives.ZeroPointDomain.Integer,
        string other => throw Wrong(DomainParameter, other, "none, float or integer"),
    };

    /// <summary>Gets the zero points, one a group; <see langword="null"/> where there are none.</summary>
    public Tensor? ZeroPoints(string name, ZeroPointDomain domain, params IReadOnlyList<long> shape) => domain switch
    {
        Primitives.ZeroPointDomain.None => null,
        Primitives.ZeroPointDomain.Float => Scales(name, shape),
        _ => Component(name, shape, ScalarType.Byte, ScalarType.Int32),
    };

    /// <summary>Gets a parameter after a check of its kind.</summary>
    public T Parameter<T>(string name) =>
        stored.Parameters[name] is JsonValue value && value.TryGetValue(out T? result) && result is not null
            ? result
            : throw Wrong(name, stored.Parameters[name]?.ToJsonString() ?? "nothing", typeof(T).Name);

    /// <summary>Makes the error for a piece that does not fit.</summary>
    public QuantizationException Wrong(string piece, string got, string expected) => new(
        $"{stored.Name}: {piece} of the {format} tensor: got {got}, expected {expected}; " +
        "the file is damaged or was written by other software.");

    private void RequireSame(string what, IEnumerable<string> got, IReadOnlyList<string> expected)
    {
        string[] names = [.. got];
        if (names.Length != expected.Count || !expected.All(names.Contains))
        {
            throw Wrong(what, names.Length == 0 ? "none" : string.Join(", ", names), string.Join(", ", expected));
        }
    }
}
