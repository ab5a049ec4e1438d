using System.Text;
using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using Xunit;

namespace TorchAO.Tests.Errors;

/// <summary>Files that lie about themselves.</summary>
internal static class FileMistakes
{
    private const string Section = "Safetensors files";

    private const string Two =
        """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""";

    public static Mistake[] All { get; } =
    [
        New("A file ends before its header", [1, 2, 3]),
        New("A header is longer than the file", [.. BitConverter.GetBytes(1000L), (byte)'{', (byte)'}']),
        New("A header is no JSON", Bytes("{\"a\":", 0)),
        New("A header is no object", Bytes("[1]", 0)),
        New("A name stands twice", Bytes(Two.Replace("\"b\":", "\"a\":", StringComparison.Ordinal), 8)),
        New("Two tensors share bytes", Bytes(Two.Replace("[4,8]", "[2,6]", StringComparison.Ordinal), 8)),
        New("Bytes between two tensors belong to none", Bytes(Two.Replace("[4,8]", "[6,10]", StringComparison.Ordinal), 10)),
        New("Bytes follow the last tensor", Bytes(Two, 12)),
        New("A file was cut off", Bytes(Two, 7)),
        New("Offsets are reversed", Bytes(Two.Replace("[4,8]", "[8,4]", StringComparison.Ordinal), 8)),
        New("Offsets do not fit the shape", Bytes(Two.Replace("[1],\"data_offsets\":[4,8]", "[3],\"data_offsets\":[4,8]", StringComparison.Ordinal), 8)),
        New("A shape is negative", Bytes(Two.Replace("[1],\"data_offsets\":[4,8]", "[-1],\"data_offsets\":[4,8]", StringComparison.Ordinal), 8)),
        New("A dtype is not known", Bytes(Two.Replace("F32", "F33", StringComparison.Ordinal), 8)),
        New("A field is missing", Bytes(Two.Replace("\"shape\":[1],", "", StringComparison.Ordinal), 8)),
        New("A tensor is not there", Bytes(Two, 8), file => file.Read("c").Dispose()),
        New("A boolean is neither 0 nor 1", Bytes("""{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}""", [7]), file => file.Read("a").Dispose()),
    ];

    private static Mistake New(string title, byte[] bytes, Action<SafetensorsFile>? act = null) => new(Section, title, () =>
    {
        string path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():n}.safetensors");
        File.WriteAllBytes(path, bytes);
        try
        {
            CheckpointException error = Assert.Throws<CheckpointException>(() =>
            {
                using var file = SafetensorsFile.Open(path);
                act?.Invoke(file);
            });
            return new Answer(
                $"{nameof(CheckpointException)}, {nameof(CheckpointError)}.{error.Error}",
                error.Message.Replace(path, "model.safetensors", StringComparison.Ordinal));
        }
        finally
        {
            File.Delete(path);
        }
    });

    private static byte[] Bytes(string header, int data) => Bytes(header, new byte[data]);

    private static byte[] Bytes(string header, byte[] data)
    {
        byte[] text = Encoding.UTF8.GetBytes(header);
        return [.. BitConverter.GetBytes((long)text.Length), .. text, .. data];
    }
}
