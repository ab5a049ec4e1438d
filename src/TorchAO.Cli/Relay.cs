namespace TorchAO.Cli;

/// <summary>Hears of progress at once and in order; the framework's <c>Progress&lt;T&gt;</c> answers on another thread.</summary>
internal sealed class Relay<T>(Action<T> answer) : IProgress<T>
{
    public void Report(T value) => answer(value);
}
