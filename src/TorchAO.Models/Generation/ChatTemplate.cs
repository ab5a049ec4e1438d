using TorchAO.Models.Text;

namespace TorchAO.Models.Generation;

/// <summary>How a turn of a conversation is written for a model.</summary>
/// <remarks>
/// Known by the tokens that the tokenizer has: ChatML (<c>&lt;|im_start|&gt;</c>: Qwen and others) and Llama 3
/// (<c>&lt;|start_header_id|&gt;</c>). For all other models a turn is the plain text, as for a model that only continues texts.
/// </remarks>
public sealed record ChatTemplate
{
    private const string ChatMlStart = "<|im_start|>";
    private const string ChatMlEnd = "<|im_end|>";
    private const string Llama3Start = "<|start_header_id|>";
    private const string Llama3End = "<|eot_id|>";

    private readonly string before;
    private readonly string between;
    private readonly string after;

    private ChatTemplate(string name, string before, string between, string after, params IReadOnlyList<int> stops) =>
        (Name, this.before, this.between, this.after, StopTokenIds) = (name, before, between, after, stops);

    /// <summary>Gets the template's name: <c>plain</c>, <c>chatml</c> or <c>llama3</c>.</summary>
    public string Name { get; }

    /// <summary>Gets tokens that end an answer, besides those that end every text.</summary>
    public IReadOnlyList<int> StopTokenIds { get; }

    /// <summary>Chooses the template of a tokenizer.</summary>
    public static ChatTemplate For(Tokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        return Has(tokenizer, ChatMlStart)
            ? new ChatTemplate("chatml", ChatMlStart, "\n", ChatMlEnd + "\n", [.. tokenizer.Encode(ChatMlEnd, addBos: false)])
            : Has(tokenizer, Llama3Start)
                ? new ChatTemplate("llama3", Llama3Start, "<|end_header_id|>\n\n", Llama3End, [.. tokenizer.Encode(Llama3End, addBos: false)])
                : new ChatTemplate("plain", string.Empty, string.Empty, string.Empty);
    }

    /// <summary>Writes a turn, up to where the model's answer begins.</summary>
    /// <param name="text">What the user says.</param>
    /// <param name="system">What goes before the first turn, or <see langword="null"/>.</param>
    /// <param name="isFirst">Whether the conversation begins; later turns first end the answer before them.</param>
    /// <exception cref="ArgumentException">The plain template has no place for a system text.</exception>
    public string Turn(string text, string? system = null, bool isFirst = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (before.Length == 0)
        {
            return system is null ? text : throw new ArgumentException(
                "the model has no chat template, so there is no place for a system text; leave it out.", nameof(system));
        }

        string head = isFirst ? string.Empty : after;
        string told = system is null ? string.Empty : Message("system", system);
        return $"{head}{told}{Message("user", text)}{before}assistant{between}";
    }

    private string Message(string role, string text) => $"{before}{role}{between}{text}{after}";

    private static bool Has(Tokenizer tokenizer, string token) => tokenizer.Encode(token, addBos: false).Count == 1;
}
