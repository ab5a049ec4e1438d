using System.Buffers.Binary;
using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Examples;

/// <summary>Speech or not, every 32 ms, by convolutions and a recurrent cell: Silero VAD v5 at 16 kHz.</summary>
internal sealed class VoiceActivity : IExample
{
    private const int Step = 512; // samples
    private const int Context = 64; // samples before a step that the network sees again
    private const int WavHeader = 44; // bytes

    private Tensor? reference;

    public string Name => "voice";

    public string Title => "Voice activity: Silero VAD v5, 60 s of speech in steps of 32 ms";

    public string MeasureName => "decisions as in float";

    public IReadOnlyList<(string Name, ModuleRules Rules)> Recipes =>
    [
        ("int8", ModuleRules.All(new Int8WeightOnlyConfig())),
        ("int8, activations too", new ModuleRules
        {
            ["stft_conv"] = ModuleRules.Skip, // Fourier transform
            ["*"] = new Int8DynamicActivationInt8WeightConfig(),
        }),
        ("float8", ModuleRules.All(new Float8WeightOnlyConfig())),
        ("int4 in the cell, int8 elsewhere", new ModuleRules
        {
            ["lstm_cell.*"] = new Int4WeightOnlyConfig { GroupSize = 32 },
            ["*"] = new Int8WeightOnlyConfig(),
        }),
    ];

    public nn.Module<Tensor, Tensor> Load()
    {
        var network = new Network();
        ExampleFiles.Fill(network, "silero-vad/silero_vad_16k.safetensors", name => name
            .Replace("weight_ih", "input.weight", StringComparison.Ordinal).Replace("bias_ih", "input.bias", StringComparison.Ordinal)
            .Replace("weight_hh", "hidden.weight", StringComparison.Ordinal).Replace("bias_hh", "hidden.bias", StringComparison.Ordinal));
        return network;
    }

    /// <summary>Reads the audio as steps <c>[steps, 64 + 512]</c>, each with the end of the one before.</summary>
    public Tensor Inputs()
    {
        ReadOnlySpan<byte> bytes = File.ReadAllBytes(ExampleFiles.Path("silero-vad/test.wav")).AsSpan(WavHeader);
        int steps = bytes.Length / sizeof(short) / Step;
        float[] samples = new float[Context + (steps * Step)];
        for (int i = 0; i < steps * Step; i++)
        {
            samples[Context + i] = BinaryPrimitives.ReadInt16LittleEndian(bytes[(sizeof(short) * i)..]) / 32768f;
        }

        using Tensor all = tensor(samples);
        return all.unfold(0, Context + Step, Step).contiguous();
    }

    /// <summary>Compares the decisions, above a half or not, with those of the first outputs that it is given.</summary>
    public double Measure(Tensor outputs)
    {
        using Tensor decisions = outputs > 0.5;
        reference ??= decisions.alias().DetachFromDisposeScope();
        using Tensor same = decisions.eq(reference).to(ScalarType.Float64).mean();
        return 100 * same.item<double>();
    }

    private sealed class Network : nn.Module<Tensor, Tensor>
    {
        private const int Frequencies = 129;

        private readonly nn.Module<Tensor, Tensor> stft_conv = nn.Conv1d(1, 2 * Frequencies, 256, stride: 128, bias: false);
        private readonly nn.Module<Tensor, Tensor> conv1 = nn.Conv1d(Frequencies, 128, 3, padding: 1);
        private readonly nn.Module<Tensor, Tensor> conv2 = nn.Conv1d(128, 64, 3, stride: 2, padding: 1);
        private readonly nn.Module<Tensor, Tensor> conv3 = nn.Conv1d(64, 64, 3, stride: 2, padding: 1);
        private readonly nn.Module<Tensor, Tensor> conv4 = nn.Conv1d(64, 128, 3, padding: 1);
        private readonly Cell lstm_cell = new(128);
        private readonly nn.Module<Tensor, Tensor> final_conv = nn.Conv1d(128, 1, 1);

        public Network()
            : base(nameof(Network)) => RegisterComponents();

        /// <summary>Computes a probability of speech for each step, <c>[steps]</c>; the cell remembers from step to step.</summary>
        public override Tensor forward(Tensor input)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor padded = nn.functional.pad(input.unsqueeze(1), [0, Context], PaddingModes.Reflect);
            Tensor spectrum = stft_conv.call(padded);
            Tensor real = spectrum.narrow(1, 0, Frequencies), imaginary = spectrum.narrow(1, Frequencies, Frequencies);
            Tensor hidden = (real.square() + imaginary.square()).sqrt();
            foreach (nn.Module<Tensor, Tensor> convolution in new[] { conv1, conv2, conv3, conv4 })
            {
                hidden = nn.functional.relu(convolution.call(hidden));
            }

            Tensor features = nn.functional.relu(lstm_cell.call(hidden.squeeze(2)));
            return final_conv.call(features.unsqueeze(2)).sigmoid().flatten().MoveToOuterDisposeScope();
        }
    }

    /// <summary>A long short-term memory (Hochreiter and Schmidhuber 1997) of linear layers, so that rules reach them.</summary>
    private sealed class Cell : nn.Module<Tensor, Tensor>
    {
        private readonly long size;
        private readonly nn.Module<Tensor, Tensor> input;
        private readonly nn.Module<Tensor, Tensor> hidden;

        public Cell(long size)
            : base(nameof(Cell))
        {
            this.size = size;
            input = nn.Linear(size, 4 * size);
            hidden = nn.Linear(size, 4 * size);
            RegisterComponents();
        }

        /// <summary>Computes the states <c>[steps, size]</c> of a sequence <c>[steps, size]</c> from a state of zeros.</summary>
        public override Tensor forward(Tensor sequence)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor given = input.call(sequence);
            Tensor state = zeros(1, size), memory = zeros(1, size);
            var states = new List<Tensor>();
            for (long t = 0; t < sequence.size(0); t++)
            {
                using DisposeScope step = NewDisposeScope();
                Tensor[] gates = (given.narrow(0, t, 1) + hidden.call(state)).chunk(4, 1);
                memory = (gates[1].sigmoid() * memory) + (gates[0].sigmoid() * gates[2].tanh());
                state = gates[3].sigmoid() * memory.tanh();
                memory.MoveToOuterDisposeScope();
                states.Add(state.MoveToOuterDisposeScope());
            }

            return cat(states).MoveToOuterDisposeScope();
        }
    }
}
