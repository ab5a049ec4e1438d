using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Tests.Checkpoints;

/// <summary>A model of every kind of module that keeps something: ids in, logits out.</summary>
internal sealed class MixedModel : nn.Module<Tensor, Tensor>
{
    public const int Vocabulary = 40;

    private readonly Embedding tokens;
    private readonly Conv1d conv;
    private readonly BatchNorm1d batch;
    private readonly LayerNorm norm;
    private readonly Linear typed;
    private readonly nn.Module<Tensor, Tensor> open;
    private readonly ModuleList<nn.Module<Tensor, Tensor>> list;
    private readonly Dictionary<string, nn.Module<Tensor, Tensor>> table;
    private readonly Dropout dropout = nn.Dropout(0.5);
    private readonly nn.Module<Tensor, Tensor> head;
    private readonly Parameter gain;

    public MixedModel(Device? device = null, ScalarType dtype = ScalarType.Float32, int width = 64)
        : base(nameof(MixedModel))
    {
        tokens = nn.Embedding(Vocabulary, width, device: device, dtype: dtype);
        conv = nn.Conv1d(width, width, 3, padding: 1, device: device, dtype: dtype);
        batch = nn.BatchNorm1d(width, device: device);
        batch.to(dtype); // the constructor would turn the count of batches into a float too
        norm = nn.LayerNorm([width], device: device, dtype: dtype);
        typed = nn.Linear(width, width, device: device, dtype: dtype);
        open = nn.Linear(width, width, hasBias: false, device: device, dtype: dtype);
        list = nn.ModuleList<nn.Module<Tensor, Tensor>>(nn.Linear(width, width, device: device, dtype: dtype), nn.ReLU());
        table = new() { ["expert"] = nn.Linear(width, width, device: device, dtype: dtype) };
        Linear tied = nn.Linear(width, Vocabulary, hasBias: false, device: device, dtype: dtype);
        tied.weight = tokens.weight!;
        head = tied;
        gain = new Parameter(ones(width, dtype: dtype, device: device));
        RegisterComponents();
    }

    public static ModuleRules Rules => new()
    {
        ["head"] = ModuleRules.Skip,
        ["table*"] = new Int4WeightOnlyConfig { GroupSize = 32 },
        ["*"] = new Int8WeightOnlyConfig(),
    };

    /// <summary>Makes a model whose every parameter and buffer differs from a fresh one's. The caller disposes it.</summary>
    public static MixedModel Trained(long seed = 1, ScalarType dtype = ScalarType.Float32, int width = 64)
    {
        random.manual_seed(seed);
        var model = new MixedModel(dtype: dtype, width: width);
        using Tensor ids = Ids();
        model.train();
        model.forward(ids).Dispose(); // moves the statistics of the batch norm
        model.eval();
        return model;
    }

    public static Tensor Ids() => arange(12, ScalarType.Int64).reshape(2, 6);

    public override Tensor forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = tokens.call(input);
        x = batch.call(conv.call(x.transpose(1, 2))).transpose(1, 2);
        x = dropout.call(norm.call(x) * gain);
        x = open.call(typed.forward(x));
        x = table["expert"].call(list[1].call(list[0].call(x)));
        return head.call(x).MoveToOuterDisposeScope();
    }

    // Counts of living tensors are compared elsewhere, so that nothing may wait for a finalizer.
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (nn.Module module in new nn.Module[] { tokens, conv, batch, norm, typed, open, list[0], list[1], list, table["expert"], dropout, head })
            {
                module.Dispose();
            }

            gain.Dispose();
        }

        base.Dispose(disposing);
    }
}
