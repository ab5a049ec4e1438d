using System.Globalization;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Reads the defaults that a schema's text gives for arguments left out.</summary>
internal static class OperatorDefaults
{
    /// <summary>Reads a default.</summary>
    /// <param name="parameter">The argument.</param>
    /// <param name="value">The value to pass; <see langword="null"/> for None.</param>
    /// <returns>Whether the argument has a default that can be passed.</returns>
    public static bool TryRead(OperatorParameter parameter, out object? value)
    {
        value = null;
        if (parameter.Default is not string text)
        {
            return false;
        }

        if (text == "None")
        {
            return parameter.Type.IsOptional;
        }

        value = parameter.Type.IsList ? ReadList(text, parameter.Type.Name) : ReadElement(text, parameter.Type.Name);
        return value is not null;
    }

    private static object? ReadElement(string text, string type) => type switch
    {
        "bool" => text == "True" ? true : text == "False" ? false : null,
        "float" => double.TryParse(text, CultureInfo.InvariantCulture, out double number) ? number : null,
        "str" => text.Trim('"', '\''),
        "int" or "ScalarType" or "Layout" or "MemoryFormat" =>
            long.TryParse(text, CultureInfo.InvariantCulture, out long integer) ? integer : null,
        _ => null,
    };

    private static object? ReadList(string text, string type)
    {
        string[] parts = text.Trim('[', ']').Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        object?[] items = [.. parts.Select(part => ReadElement(part, type))];
        return items.Contains(null) ? null : type switch
        {
            "int" => items.Cast<long>().ToArray(),
            "float" => items.Cast<double>().ToArray(),
            "bool" => items.Cast<bool>().ToArray(),
            _ => null,
        };
    }
}
