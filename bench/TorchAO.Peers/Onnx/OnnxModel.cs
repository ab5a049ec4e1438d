using Google.Protobuf;
using static TorchSharp.torch;

namespace TorchAO.Peers.Onnx;

/// <summary>An ONNX model of one node, written field by field: a product of activations <c>[M, K]</c> with constants.</summary>
/// <remarks>Field numbers are those of <c>onnx.proto</c> (messages ModelProto, GraphProto, NodeProto, TensorProto).</remarks>
internal sealed class OnnxModel(string operation, long n, long k)
{
    /// <summary>The name of the activations <c>[M, K]</c>.</summary>
    public const string Input = "x";

    /// <summary>The name of the product <c>[M, N]</c>.</summary>
    public const string Output = "y";

    private const string MicrosoftDomain = "com.microsoft";
    private const int FloatType = 1, ByteType = 2, SignedByteType = 3;

    private readonly List<(string Name, Tensor Value)> constants = [];
    private readonly List<(string Name, long Value)> attributes = [];

    /// <summary>Adds an input of the node that is stored in the model.</summary>
    public OnnxModel Constant(string name, Tensor value)
    {
        constants.Add((name, value));
        return this;
    }

    /// <summary>Adds a whole number that the operator takes.</summary>
    public OnnxModel Attribute(string name, long value)
    {
        attributes.Add((name, value));
        return this;
    }

    /// <summary>Writes the model.</summary>
    public byte[] ToBytes() => Message(model =>
    {
        Number(model, 1, 10); // ir_version
        Bytes(model, 7, Graph());
        foreach ((string domain, long version) in ((string, long)[])[(string.Empty, 21), (MicrosoftDomain, 1)])
        {
            Bytes(model, 8, Message(import =>
            {
                Text(import, 1, domain);
                Number(import, 2, version);
            }));
        }
    });

    private byte[] Graph() => Message(graph =>
    {
        Bytes(graph, 1, Node());
        Text(graph, 2, "linear");
        foreach ((string name, Tensor value) in constants)
        {
            Bytes(graph, 5, TensorMessage(name, value));
        }

        Bytes(graph, 11, Matrix(Input, k));
        Bytes(graph, 12, Matrix(Output, n));
    });

    private byte[] Node() => Message(node =>
    {
        Text(node, 1, Input);
        foreach ((string name, _) in constants)
        {
            Text(node, 1, name);
        }

        Text(node, 2, Output);
        Text(node, 3, "product");
        Text(node, 4, operation);
        foreach ((string name, long value) in attributes)
        {
            Bytes(node, 5, Message(attribute =>
            {
                Text(attribute, 1, name);
                Number(attribute, 3, value);
                Number(attribute, 20, 2); // INT
            }));
        }

        Text(node, 7, MicrosoftDomain);
    });

    private static byte[] TensorMessage(string name, Tensor value) => Message(tensor =>
    {
        foreach (long size in value.shape)
        {
            Number(tensor, 1, size);
        }

        Number(tensor, 2, value.dtype switch
        {
            ScalarType.Float32 => FloatType,
            ScalarType.Byte => ByteType,
            ScalarType.Int8 => SignedByteType,
            _ => throw new ArgumentException($"{name} is {value.dtype}; expected Float32, Byte or Int8."),
        });
        Text(tensor, 8, name);
        Bytes(tensor, 9, value.bytes.ToArray());
    });

    // A float32 matrix [M, columns] with M open.
    private static byte[] Matrix(string name, long columns)
    {
        byte[] rows = Message(dimension => Text(dimension, 2, "M"));
        byte[] count = Message(dimension => Number(dimension, 1, columns));
        byte[] shape = Message(message =>
        {
            Bytes(message, 1, rows);
            Bytes(message, 1, count);
        });
        byte[] tensor = Message(message =>
        {
            Number(message, 1, FloatType);
            Bytes(message, 2, shape);
        });
        return Message(value =>
        {
            Text(value, 1, name);
            Bytes(value, 2, Message(type => Bytes(type, 1, tensor)));
        });
    }

    private static byte[] Message(Action<CodedOutputStream> write)
    {
        using var memory = new MemoryStream();
        using (var stream = new CodedOutputStream(memory, leaveOpen: true))
        {
            write(stream);
        }

        return memory.ToArray();
    }

    private static void Number(CodedOutputStream stream, int field, long value)
    {
        stream.WriteTag(field, WireFormat.WireType.Varint);
        stream.WriteInt64(value);
    }

    private static void Text(CodedOutputStream stream, int field, string value)
    {
        stream.WriteTag(field, WireFormat.WireType.LengthDelimited);
        stream.WriteString(value);
    }

    private static void Bytes(CodedOutputStream stream, int field, byte[] value)
    {
        stream.WriteTag(field, WireFormat.WireType.LengthDelimited);
        stream.WriteBytes(UnsafeByteOperations.UnsafeWrap(value));
    }
}
