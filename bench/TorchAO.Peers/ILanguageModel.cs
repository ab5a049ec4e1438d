namespace TorchAO.Peers;

/// <summary>A language model that takes part, ours or a peer's.</summary>
internal interface ILanguageModel : IDisposable
{
    /// <summary>Gets the name: whose, and how weights are stored.</summary>
    string Name { get; }

    /// <summary>Gets the bits of most weights, which say who is compared with whom.</summary>
    int Bits { get; }

    /// <summary>Gets the bytes of weights that a new token reads.</summary>
    long BytesPerToken { get; }

    /// <summary>Lets a thread pool of its own begin to wait for work.</summary>
    void Wake();

    /// <summary>Sends it to sleep.</summary>
    void Rest();

    /// <summary>Reads the prompt into an empty cache.</summary>
    TimeSpan Prefill();

    /// <summary>Gives the new tokens behind the prompt, one step each.</summary>
    TimeSpan Decode();

    /// <summary>Gets the scores of the token behind the prompt, for every id.</summary>
    float[] Scores();
}
