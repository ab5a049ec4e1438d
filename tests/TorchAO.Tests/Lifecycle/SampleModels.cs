using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Tests.Lifecycle;

/// <summary>A layer in a field that admits any module.</summary>
internal sealed class OpenBlock : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> up;

    public OpenBlock(int width = 64)
        : base(nameof(OpenBlock))
    {
        up = nn.Linear(width, width / 2);
        RegisterComponents();
    }

    public nn.Module<Tensor, Tensor> Up => up;

    public override Tensor forward(Tensor input) => up.forward(input);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            up.Dispose();
        }

        base.Dispose(disposing);
    }
}

/// <summary>A layer in a field that admits nothing but <see cref="Linear"/>, called past the hooks.</summary>
internal sealed class SealedBlock : nn.Module<Tensor, Tensor>
{
    private readonly Linear up;

    public SealedBlock(int width = 64)
        : base(nameof(SealedBlock))
    {
        up = nn.Linear(width, width / 2);
        RegisterComponents();
    }

    public Linear Up => up;

    public override Tensor forward(Tensor input) => up.forward(input);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            up.Dispose();
        }

        base.Dispose(disposing);
    }
}

/// <summary>Every kind of holder at once.</summary>
internal sealed class Holders : nn.Module<Tensor, Tensor>
{
    private readonly Linear typed = nn.Linear(64, 64);
    private readonly nn.Module<Tensor, Tensor> open = nn.Linear(64, 64);
    private readonly Sequential sequence = nn.Sequential(("first", nn.Linear(64, 64)), ("act", nn.ReLU()));
    private readonly ModuleList<nn.Module<Tensor, Tensor>> list = nn.ModuleList<nn.Module<Tensor, Tensor>>(nn.Linear(64, 64));
    private readonly ModuleDict<nn.Module<Tensor, Tensor>> named = nn.ModuleDict<nn.Module<Tensor, Tensor>>(
        ("gate", nn.Linear(64, 64)));

    private readonly nn.Module<Tensor, Tensor>[] array = [nn.Linear(64, 64)];
    private readonly Dictionary<string, nn.Module<Tensor, Tensor>> table = new() { ["expert"] = nn.Linear(64, 64) };
    private readonly nn.Module<Tensor, Tensor> shared;

    public Holders()
        : base(nameof(Holders))
    {
        shared = open;
        RegisterComponents();
    }

    public nn.Module<Tensor, Tensor> Property { get; } = nn.Linear(64, 64);

    public bool SharesOpen => ReferenceEquals(shared, open);

    public override Tensor forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = typed.forward(input);
        x = sequence.forward(open.forward(x)) + shared.forward(input);
        x = named["gate"].forward(list[0].forward(x));
        return table["expert"].forward(array[0].forward(Property.forward(x))).MoveToOuterDisposeScope();
    }
}

/// <summary>An embedding and an output layer over one parameter.</summary>
internal sealed class TiedModel : nn.Module<Tensor, Tensor>
{
    private readonly Embedding tokens = nn.Embedding(32, 64);
    private readonly nn.Module<Tensor, Tensor> head;
    private readonly nn.Module<Tensor, Tensor> twin;

    public TiedModel()
        : base(nameof(TiedModel))
    {
        Linear first = nn.Linear(64, 32, hasBias: false), second = nn.Linear(64, 32, hasBias: false);
        first.weight = tokens.weight!;
        second.weight = tokens.weight!;
        (head, twin) = (first, second);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = tokens.forward(input);
        return (head.forward(x) - twin.forward(x)).MoveToOuterDisposeScope();
    }
}

/// <summary>An embedding and two output layers over one parameter, in fields that admit nothing but <see cref="Linear"/>.</summary>
internal sealed class SealedTiedModel : nn.Module<Tensor, Tensor>
{
    private readonly Embedding tokens = nn.Embedding(32, 64);
    private readonly Linear head = nn.Linear(64, 32, hasBias: false);
    private readonly Linear twin = nn.Linear(64, 32, hasBias: false);

    public SealedTiedModel()
        : base(nameof(SealedTiedModel))
    {
        head.weight = tokens.weight!;
        twin.weight = tokens.weight!;
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = tokens.forward(input);
        return (head.forward(x) + twin.forward(x)).MoveToOuterDisposeScope();
    }
}

/// <summary>Attention that libtorch keeps to itself, before a layer in an open field.</summary>
internal sealed class AttentionBlock : nn.Module<Tensor, Tensor>
{
    private readonly MultiheadAttention attention = nn.MultiheadAttention(64, 2);
    private readonly nn.Module<Tensor, Tensor> up = nn.Linear(64, 64);

    public AttentionBlock()
        : base(nameof(AttentionBlock)) => RegisterComponents();

    public override Tensor forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        return up.forward(attention.forward(input, input, input, null, false, null).Item1).MoveToOuterDisposeScope();
    }
}
