using Microsoft.ML.OnnxRuntime;
using static TorchSharp.torch;

namespace TorchAO.Peers.Onnx;

/// <summary>A model of one node in a session of its own, with input and output bound to fixed memory.</summary>
/// <remarks>Threads spin while a call runs and stop when it returns, so that they take nothing from other contestants.</remarks>
internal sealed class OnnxContestant : Contestant
{
    private static readonly string[] Inputs = [OnnxModel.Input];
    private static readonly string[] Outputs = [OnnxModel.Output];

    private readonly long n;
    private readonly InferenceSession[] sessions;
    private readonly RunOptions options = new();
    private OrtValue? input;
    private OrtValue? output;
    private float[] product = [];

    /// <summary>Loads the model twice.</summary>
    public OnnxContestant(string name, Arithmetic arithmetic, long bytes, byte[] model, long n, int threads)
        : base(name, arithmetic, bytes)
    {
        this.n = n;
        using var settings = new SessionOptions
        {
            IntraOpNumThreads = threads,
            InterOpNumThreads = 1,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
        };
        settings.AddSessionConfigEntry("session.force_spinning_stop", "1");
        sessions = [.. Enumerable.Range(0, Copies).Select(_ => new InferenceSession(model, settings))];
    }

    /// <inheritdoc/>
    public override void Prepare(Tensor activations)
    {
        Forget();
        long m = activations.size(0);
        product = new float[m * n];
        input = OrtValue.CreateTensorValueFromMemory(activations.data<float>().ToArray(), activations.shape);
        output = OrtValue.CreateTensorValueFromMemory(product, [m, n]);
    }

    /// <inheritdoc/>
    public override void Multiply(int copy) => sessions[copy].Run(options, Inputs, [input!], Outputs, [output!]);

    /// <inheritdoc/>
    public override Tensor Result()
    {
        Multiply(0);
        return tensor(product).view(-1, n);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Forget();
        options.Dispose();
        foreach (InferenceSession session in sessions)
        {
            session.Dispose();
        }
    }

    private void Forget()
    {
        input?.Dispose();
        output?.Dispose();
    }
}
