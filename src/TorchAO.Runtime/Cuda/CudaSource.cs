using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace TorchAO.Runtime.Cuda;

/// <summary>The text of CUDA kernels with its headers and options: what one compilation takes.</summary>
/// <remarks>
/// Files named <c>.cu</c> and <c>.cuh</c> are embedded by the build, each under its path inside the project. A file may include
/// headers of its own folder, of its project's root and of <c>Cuda/Include</c> of this assembly, by <c>#include "name.cuh"</c>;
/// there are no others. A line <c>// Variant: -DHEAD=128</c> in a file has the tests compile it so, for every architecture or those
/// that a line <c>// Architectures: sm_90a</c> names. Entry points are <c>extern "C" __global__</c>; templates are instantiated by options (<c>-DHEAD=128</c>).
/// A source is compiled once a device, when its first kernel is launched there, and all its kernels share the result. Make one
/// instance for a text and its options, and keep it.
/// </remarks>
public sealed partial class CudaSource
{
    private const string SharedHeaders = "Cuda/Include/";

    private readonly Dictionary<CudaDevice, LoadedModule> modules = [];
    private readonly Lock gate = new();

    private CudaSource(string name, string text, IReadOnlyList<CudaHeader> headers, IReadOnlyList<string> options) =>
        (Name, Text, Headers, Options) = (name, text, headers, options);

    /// <summary>Gets the name for messages: the path of the file.</summary>
    public string Name { get; }

    /// <summary>Gets the text of the file itself.</summary>
    public string Text { get; }

    /// <summary>Gets the options of this source, such as <c>-DHEAD=128</c>.</summary>
    public IReadOnlyList<string> Options { get; }

    /// <summary>Gets the headers, under the names by which they are included.</summary>
    internal IReadOnlyList<CudaHeader> Headers { get; }

    /// <summary>Gets whether this system has the compiler; <see cref="CompilerAbsence"/> says why not.</summary>
    public static bool CanCompile => Nvrtc.IsPresent;

    /// <summary>Gets why nothing can be compiled here, or <see langword="null"/>.</summary>
    public static string? CompilerAbsence => Nvrtc.IsPresent ? null : CudaLibraries.CompilerLibrary.Missing().Message;

    /// <summary>Gets the compiler as a text for reports: version and file, or why there is none.</summary>
    public static string CompilerDescription =>
        CompilerAbsence ?? $"NVRTC {Nvrtc.Version} ({CudaLibraries.CompilerLibrary.Path})";

    /// <summary>Takes an embedded file.</summary>
    /// <param name="assembly">The assembly that has it.</param>
    /// <param name="path">Its path inside the project, with slashes.</param>
    /// <param name="options">Options for the compiler.</param>
    /// <exception cref="ArgumentException">There is no such file, or a header that it includes is not there.</exception>
    public static CudaSource FromResource(Assembly assembly, string path, params IEnumerable<string> options)
    {
        ArgumentNullException.ThrowIfNull(assembly);
        string text = Read(assembly, path) ?? throw new ArgumentException(
            $"{assembly.GetName().Name} has no embedded file {path}; it has {string.Join(", ", Files(assembly, ".cu"))}.", nameof(path));
        var headers = new SortedDictionary<string, CudaHeader>(StringComparer.Ordinal);
        Include(assembly, path, text, headers);
        return new CudaSource(path, text, [.. headers.Values], [.. options]);
    }

    /// <summary>Takes a text, which can include the headers of <c>Cuda/Include</c> only.</summary>
    /// <exception cref="ArgumentException">A header that it includes is not there.</exception>
    public static CudaSource FromText(string name, string text, params IEnumerable<string> options)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(text);
        var headers = new SortedDictionary<string, CudaHeader>(StringComparer.Ordinal);
        Include(typeof(CudaSource).Assembly, name, text, headers);
        return new CudaSource(name, text, [.. headers.Values], [.. options]);
    }

    /// <summary>Lists the kernel files that an assembly embeds.</summary>
    public static IReadOnlyList<string> ListResources(Assembly assembly)
    {
        ArgumentNullException.ThrowIfNull(assembly);
        return [.. Files(assembly, ".cu")];
    }

    /// <summary>Gets the same text under more options.</summary>
    public CudaSource With(params IEnumerable<string> options) => new(Name, Text, Headers, [.. Options, .. options]);

    /// <summary>Compiles for an architecture, or takes the code from the cache. Needs no device.</summary>
    /// <param name="architecture">The architecture, such as <c>sm_90a</c>.</param>
    /// <exception cref="CudaException">There is no compiler, or it refuses the text.</exception>
    public CudaBinary Compile(string architecture)
    {
        ArgumentException.ThrowIfNullOrEmpty(architecture);
        return CubinCache.Default.GetOrCompile(this, architecture);
    }

    /// <summary>Writes name and options.</summary>
    public override string ToString() => Options.Count == 0 ? Name : $"{Name} {string.Join(' ', Options)}";

    /// <summary>Gets the code on a device, compiled and loaded by the first to ask.</summary>
    internal LoadedModule Load(CudaDevice device)
    {
        lock (gate)
        {
            if (!modules.TryGetValue(device, out LoadedModule? module))
            {
                modules[device] = module = new LoadedModule(this, device);
            }

            return module;
        }
    }

    /// <summary>Computes what the cache knows this compilation by: everything that its result depends on.</summary>
    internal string Key(string architecture, Version compiler)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string part in (IEnumerable<string>)
            [compiler.ToString(), Name, Text, .. Nvrtc.Options(architecture, Options), .. Headers.SelectMany(header => (string[])[header.Name, header.Text])])
        {
            byte[] bytes = Encoding.UTF8.GetBytes(part);
            hash.AppendData(BitConverter.GetBytes(bytes.Length)); // so that no two lists of parts run together into one
            hash.AppendData(bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Include(Assembly assembly, string path, string text, SortedDictionary<string, CudaHeader> headers)
    {
        foreach (Match match in IncludeLine().Matches(text))
        {
            string name = match.Groups[1].Value;
            (Assembly home, string found, string content) = FindHeader(assembly, path, name);
            string origin = $"{home.GetName().Name}/{found}";
            if (headers.TryGetValue(name, out CudaHeader? known))
            {
                if (known.Origin != origin)
                {
                    throw new ArgumentException(
                        $"{path} includes \"{name}\", which is {origin} there and {known.Origin} elsewhere in the same source; rename one.", nameof(path));
                }

                continue;
            }

            headers.Add(name, new CudaHeader(name, content, origin));
            Include(home, found, content, headers);
        }
    }

    private static (Assembly Home, string Path, string Text) FindHeader(Assembly assembly, string includer, string name)
    {
        Assembly runtime = typeof(CudaSource).Assembly;
        string folder = includer[..(includer.LastIndexOf('/') + 1)];
        (Assembly, string)[] places = [(assembly, folder + name), (assembly, name), (runtime, SharedHeaders + name)];
        foreach ((Assembly home, string path) in places)
        {
            if (Read(home, path) is { } text)
            {
                return (home, path, text);
            }
        }

        throw new ArgumentException(
            $"{includer} includes \"{name}\", which is embedded neither as {string.Join(" nor as ", places.Select(place => place.Item2))}. " +
            "Kernels include no headers of the toolkit.", nameof(includer));
    }

    private static IEnumerable<string> Files(Assembly assembly, string extension) =>
        assembly.GetManifestResourceNames().Where(name => name.EndsWith(extension, StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    private static string? Read(Assembly assembly, string path)
    {
        using Stream? stream = assembly.GetManifestResourceStream(path);
        if (stream is null)
        {
            return null;
        }

        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }

    [GeneratedRegex("""^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]""", RegexOptions.Multiline)]
    private static partial Regex IncludeLine();
}
