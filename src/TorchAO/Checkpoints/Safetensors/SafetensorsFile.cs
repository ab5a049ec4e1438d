using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Checkpoints.Safetensors;

/// <summary>A safetensors file, opened for reading; the header is fully verified before any tensor is.</summary>
/// <remarks>
/// Format: an unsigned 64-bit little-endian length, a JSON header of that many bytes, then the tensors without gaps.
/// <see cref="Read"/> reads through the file system and adds nothing but the tensor to the process;
/// <see cref="Map"/> looks at the memory mapping. Safe for concurrent readers.
/// The file must not be truncated while mapped: the operating system ends a process that touches a lost page.
/// </remarks>
public sealed class SafetensorsFile : ITensorSource
{
    private const int LengthBytes = sizeof(ulong);
    private const int ChunkBytes = 1 << 30; // spans count in 32 bits, tensors do not

    private readonly SafeFileHandle file;
    private readonly MemoryMappedFile mapping;
    private readonly MemoryMappedViewAccessor view;
    private readonly Dictionary<string, SafetensorsEntry> byName;
    private readonly long dataAt;

    private SafetensorsFile(
        string path, SafeFileHandle file, long dataAt, Dictionary<string, string> metadata, SafetensorsEntry[] entries)
    {
        this.file = file;
        this.dataAt = dataAt;
        Path = path;
        Metadata = metadata;
        Entries = entries;
        byName = entries.ToDictionary(entry => entry.Name, StringComparer.Ordinal);
        mapping = MemoryMappedFile.CreateFromFile(
            file, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        view = mapping.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    /// <summary>Gets the path the file was opened by.</summary>
    public string Path { get; }

    /// <summary>Gets the file's metadata; empty where it has none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Gets all tensors in the order of their bytes.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries { get; }

    /// <inheritdoc/>
    public IReadOnlyList<TensorInfo> Tensors => [.. Entries.Select(Describe)];

    /// <inheritdoc/>
    public TensorInfo Describe(string name) => Describe(this[name]);

    private static TensorInfo Describe(SafetensorsEntry entry) =>
        new(entry.Name, SafetensorsDType.TypeOf(entry.DType), entry.Shape);

    /// <summary>Gets one tensor's entry.</summary>
    /// <exception cref="CheckpointException">The file has no tensor of this name; the message lists near ones.</exception>
    public SafetensorsEntry this[string name] =>
        byName.TryGetValue(name, out SafetensorsEntry? entry) ? entry : throw NotFound(name);

    /// <summary>Opens a file and verifies its header; the caller disposes it.</summary>
    /// <exception cref="CheckpointException">The header contradicts the format, itself or the file's length.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static SafetensorsFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SafeFileHandle file = File.OpenHandle(path, options: FileOptions.RandomAccess);
        try
        {
            byte[] header = ReadHeader(path, file, out long fileBytes);
            long dataAt = LengthBytes + header.Length;
            (Dictionary<string, string> metadata, SafetensorsEntry[] entries) =
                SafetensorsHeader.Parse(path, header, fileBytes - dataAt);
            return new SafetensorsFile(path, file, dataAt, metadata, entries);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Tells whether the file has a tensor of this name.</summary>
    public bool Contains(string name) => byName.ContainsKey(name);

    /// <summary>Reads one tensor into memory of its own. The caller disposes it.</summary>
    /// <exception cref="CheckpointException">No tensor of this name, values that are none of its dtype, or a file that
    /// became shorter.</exception>
    public Tensor Read(string name)
    {
        ObjectDisposedException.ThrowIf(file.IsClosed, this);
        SafetensorsEntry entry = this[name];
        Tensor tensor = empty(entry.Shape, SafetensorsDType.TypeOf(entry.DType));
        try
        {
            using Tensor flat = tensor.view(-1);
            int elementBytes = SafetensorsDType.BytesOf(entry.DType);
            for (long done = 0; done < entry.Bytes; done += ChunkBytes)
            {
                long chunk = Math.Min(ChunkBytes, entry.Bytes - done);
                using Tensor part = flat.narrow(0, done / elementBytes, chunk / elementBytes);
                Fill(entry, done, part.bytes);
                VerifyValues(entry, part.bytes);
            }

            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <summary>Gets one tensor over the memory mapping, without a copy, where its bytes are aligned; a copy elsewhere.</summary>
    /// <remarks>The mapping stays until the last of its tensors is gone, even if the file is disposed before.</remarks>
    /// <returns>The tensor, to be read only: writing to it ends the process. The caller disposes it.</returns>
    /// <exception cref="CheckpointException">No tensor of this name, or values that are none of its dtype.</exception>
    public Tensor Map(string name)
    {
        ObjectDisposedException.ThrowIf(file.IsClosed, this);
        SafetensorsEntry entry = this[name];
        SafeMemoryMappedViewHandle pages = view.SafeMemoryMappedViewHandle;
        nint address = pages.DangerousGetHandle() + (nint)(view.PointerOffset + dataAt + entry.Begin);
        if (address % SafetensorsDType.BytesOf(entry.DType) != 0 || entry.DType == "BOOL")
        {
            return Read(name);
        }

        bool isHeld = false;
        pages.DangerousAddRef(ref isHeld);
        return TensorMemory.FromBlob(
            address, entry.Shape, SafetensorsDType.TypeOf(entry.DType), pages, pages.DangerousRelease);
    }

    /// <summary>Closes the file; mapped tensors stay valid.</summary>
    public void Dispose()
    {
        view.Dispose();
        mapping.Dispose();
        file.Dispose();
    }

    private static byte[] ReadHeader(string path, SafeFileHandle file, out long fileBytes)
    {
        fileBytes = RandomAccess.GetLength(file);
        Span<byte> prefix = stackalloc byte[LengthBytes];
        if (fileBytes < LengthBytes)
        {
            throw new CheckpointException(
                CheckpointError.FileTooShort, path, "the file ends before the header's length does",
                $"{fileBytes} bytes", $"at least {LengthBytes}", "Fetch the file again.");
        }

        ReadExactly(path, file, prefix, 0);
        ulong headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerBytes > (ulong)(fileBytes - LengthBytes))
        {
            throw new CheckpointException(
                CheckpointError.HeaderBeyondFile, path, "the header is longer than the file", $"{headerBytes} bytes",
                $"at most {fileBytes - LengthBytes}", "The file was cut off or is not a safetensors file: fetch it again.");
        }

        if (headerBytes > SafetensorsHeader.MaximumBytes)
        {
            throw new CheckpointException(
                CheckpointError.HeaderTooLarge, path, "the header is larger than the format allows",
                $"{headerBytes} bytes", $"at most {SafetensorsHeader.MaximumBytes}", "This is not a safetensors file.");
        }

        byte[] header = new byte[headerBytes];
        ReadExactly(path, file, header, LengthBytes);
        return header;
    }

    private static void ReadExactly(string where, SafeFileHandle file, Span<byte> target, long at)
    {
        while (!target.IsEmpty)
        {
            int read = RandomAccess.Read(file, target, at);
            if (read == 0)
            {
                throw new CheckpointException(
                    CheckpointError.FileChanged, where, "the file became shorter while it was read",
                    $"an end at byte {at}", $"{target.Length} bytes more", "Let no other program write to the file.");
            }

            target = target[read..];
            at += read;
        }
    }

    private void Fill(SafetensorsEntry entry, long done, Span<byte> target) =>
        ReadExactly(Where(entry.Name), file, target, dataAt + entry.Begin + done);

    private void VerifyValues(SafetensorsEntry entry, ReadOnlySpan<byte> values)
    {
        // Any other byte in a bool is undefined behaviour inside libtorch.
        int at = entry.DType == "BOOL" ? values.IndexOfAnyExceptInRange((byte)0, (byte)1) : -1;
        if (at >= 0)
        {
            throw new CheckpointException(
                CheckpointError.InvalidValue, Where(entry.Name), "a boolean has an impossible value", $"{values[at]}",
                "0 or 1", "Export the tensor as U8.");
        }
    }

    private string Where(string name) => $"{Path}: tensor {CheckpointException.Quote(name)}";

    private CheckpointException NotFound(string name)
    {
        IReadOnlyList<string> near = NearNames.Of(name, byName.Keys);
        string expected = near.Count == 0
            ? $"one of its {Entries.Count} names"
            : "perhaps " + string.Join(" or ", near.Select(CheckpointException.Quote));
        return new CheckpointException(
            CheckpointError.TensorNotFound, Path, "the file has no such tensor", CheckpointException.Quote(name), expected,
            "Check the model's configuration, or list the file's entries.");
    }
}
