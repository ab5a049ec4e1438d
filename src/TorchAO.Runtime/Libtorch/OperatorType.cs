namespace TorchAO.Runtime.Libtorch;

/// <summary>A type of an operator's schema: <c>Tensor</c>, <c>int[]?</c>, <c>Tensor?[]</c>, <c>ScalarType?</c>.</summary>
/// <param name="Name">The element's name; <c>SymInt</c> reads <c>int</c>.</param>
/// <param name="IsList">Whether it is a list of elements.</param>
/// <param name="IsOptional">Whether the whole may be absent.</param>
/// <param name="HasOptionalElements">Whether a list's elements may be absent.</param>
internal readonly record struct OperatorType(string Name, bool IsList, bool IsOptional, bool HasOptionalElements)
{
    /// <summary>Gets whether libtorch's stable interface can carry a present value of the type.</summary>
    public bool IsSupported => Name is "Tensor" or "int" or "float" or "bool" or "ScalarType" or "Device" or "Layout"
        or "MemoryFormat" or "str";

    /// <summary>Reads a type without the alias annotation, such as <c>int[2]?</c>.</summary>
    public static OperatorType Parse(string text)
    {
        bool isOptional = text.EndsWith('?');
        string rest = isOptional ? text[..^1] : text;
        bool isList = rest.EndsWith(']');
        if (!isList)
        {
            return new OperatorType(Element(rest), false, isOptional, false);
        }

        string element = rest[..rest.LastIndexOf('[')];
        bool hasOptionalElements = element.EndsWith('?');
        return new OperatorType(Element(element.TrimEnd('?')), true, isOptional, hasOptionalElements);
    }

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Name}{(HasOptionalElements ? "?" : "")}{(IsList ? "[]" : "")}{(IsOptional ? "?" : "")}";

    private static string Element(string name) => name == "SymInt" ? "int" : name;
}
