using System.Text.Json;
using System.Text.Json.Serialization;
using TorchAO.Primitives;

namespace TorchAO.Lifecycle;

/// <summary>Writes types of codes as torchao names them: <c>uint4</c>.</summary>
internal sealed class QuantizedTypeConverter : JsonConverter<QuantizedType>
{
    public override QuantizedType Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.String)
        {
            throw new JsonException("expected the name of a type of codes, such as \"uint4\"");
        }

        try
        {
            return QuantizedType.Named(reader.GetString()!);
        }
        catch (QuantizationException e)
        {
            throw new JsonException(e.Message, e);
        }
    }

    public override void Write(Utf8JsonWriter writer, QuantizedType value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Name);
}
