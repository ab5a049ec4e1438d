using System.Diagnostics;
using System.Runtime.InteropServices;
using TorchAO.Models.Evaluation;
using TorchAO.Models.Llama;
using TorchAO.Peers.Ggml;

namespace TorchAO.Peers.Llama;

/// <summary>A GGUF file in llama.cpp, in this process, on a pool of threads that sleeps outside of its turns.</summary>
internal sealed unsafe class LlamaCppModel : ILanguageModel
{
    private const int PoolParameterBytes = 4096; // more than any version's structure

    private readonly nint model;
    private readonly nint context;
    private readonly nint threads;
    private readonly LlamaConfig shape;
    private readonly int promptTokens;
    private readonly int newTokens;
    private int length;

    /// <summary>Loads a file.</summary>
    /// <param name="library">The loaded libraries.</param>
    /// <param name="name">The name of the model.</param>
    /// <param name="bits">The bits of its matrices.</param>
    /// <param name="path">The file.</param>
    /// <param name="unreadBytes">The bytes of a table that tokens do not read whole, as the head has another.</param>
    /// <param name="shape">The shape of the model.</param>
    /// <param name="promptTokens">The length of a prompt.</param>
    /// <param name="newTokens">How many tokens follow it.</param>
    /// <param name="threadCount">How many threads compute.</param>
    public LlamaCppModel(
        GgmlLibrary library, string name, int bits, string path, long unreadBytes, LlamaConfig shape, int promptTokens, int newTokens,
        int threadCount)
    {
        (Name, Bits) = (name, bits);
        (this.shape, this.promptTokens, this.newTokens) = (shape, promptTokens, newTokens);
        library.Add(LlamaNative.Library, Path.GetFileName(GgmlLibrary.One(library.Folder, "libllama.*so*")));
        LlamaNative.SetLog(&Ignore, null);
        LlamaNative.Parameters parameters = default;
        LlamaNative.DefaultModel(&parameters);
        model = LlamaNative.Load(path, parameters);
        BytesPerToken = (model == 0 ? 0 : (long)LlamaNative.ModelBytes(model)) - unreadBytes;
        if (model == 0)
        {
            throw new InvalidOperationException($"{name}: llama.cpp does not load {path}.");
        }

        parameters = default;
        LlamaNative.DefaultContext(&parameters);
        parameters.SetContextLength(promptTokens + newTokens);
        context = LlamaNative.NewContext(model, parameters);
        uint held = context == 0 ? 0 : LlamaNative.ContextLength(context);
        if (held < promptTokens + newTokens)
        {
            throw new InvalidOperationException($"{name}: llama.cpp's context holds {held} tokens, expected {promptTokens + newTokens}.");
        }

        byte* pool = stackalloc byte[PoolParameterBytes];
        GgmlNative.InitThreads(pool, threadCount);
        threads = GgmlNative.NewThreads(pool);
        GgmlNative.Pause(threads);
        LlamaNative.SetThreadCount(context, threadCount, threadCount);
        LlamaNative.SetThreads(context, threads, threads);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int Bits { get; }

    /// <inheritdoc/>
    public long BytesPerToken { get; }

    /// <inheritdoc/>
    public void Wake() => GgmlNative.Resume(threads);

    /// <inheritdoc/>
    public void Rest() => GgmlNative.Pause(threads);

    /// <inheritdoc/>
    public TimeSpan Prefill()
    {
        Forget(0);
        return Time(0, promptTokens);
    }

    /// <inheritdoc/>
    public TimeSpan Decode()
    {
        if (length < promptTokens)
        {
            Prefill();
        }

        Forget(promptTokens);
        TimeSpan took = TimeSpan.Zero;
        for (int position = promptTokens; position < promptTokens + newTokens; position++)
        {
            took += Time(position, 1);
        }

        return took;
    }

    /// <inheritdoc/>
    public float[] Scores()
    {
        Prefill();
        return new ReadOnlySpan<float>(LlamaNative.Logits(context, -1), shape.VocabSize).ToArray();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        LlamaNative.FreeContext(context);
        GgmlNative.FreeThreads(threads);
        LlamaNative.FreeModel(model);
    }

    private void Forget(int from)
    {
        if (!LlamaNative.Forget(LlamaNative.Memory(context), 0, from, -1))
        {
            throw new InvalidOperationException($"{Name}: llama.cpp does not forget the tokens from {from} on.");
        }

        length = from;
    }

    private TimeSpan Time(int position, int count)
    {
        int[] ids = [.. Enumerable.Range(position, count).Select(at => LanguageModelSpeed.TokenAt(at, shape))];
        fixed (int* tokens = ids)
        {
            long start = Stopwatch.GetTimestamp();
            int status = LlamaNative.Decode(context, new(count, tokens));
            if (status != 0 || LlamaNative.Logits(context, -1) is null)
            {
                throw new InvalidOperationException($"{Name}: llama.cpp's step ended with status {status}.");
            }

            TimeSpan took = Stopwatch.GetElapsedTime(start);
            length += count;
            return took;
        }
    }

    [UnmanagedCallersOnly]
    private static void Ignore(int level, byte* text, void* state)
    {
    }
}
