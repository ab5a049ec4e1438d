using TorchAO.Configuration;
using TorchAO.Formats.Floatx;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Examples;

/// <summary>Ten kinds of clothes by a small vision transformer (Dosovitskiy et al. 2020, arXiv:2010.11929).</summary>
internal sealed class FashionVision : IExample
{
    private const string Data = "vit-fashion-mnist/test1000.safetensors";

    public string Name => "fashion";

    public string Title => "Fashion-MNIST: a vision transformer of 205,066 parameters, the first 1,000 test images";

    public string MeasureName => "accuracy";

    public IReadOnlyList<(string Name, ModuleRules Rules)> Recipes =>
    [
        ("int8", ModuleRules.All(new Int8WeightOnlyConfig())),
        ("int8, activations too", new ModuleRules { ["blocks.*"] = new Int8DynamicActivationInt8WeightConfig(), ["*"] = new Int8WeightOnlyConfig() }),
        ("int4 in the blocks, int8 at the ends", new ModuleRules
        {
            ["blocks.*"] = new Int4WeightOnlyConfig { GroupSize = 32, MappingType = Primitives.MappingType.Symmetric },
            ["*"] = new Int8WeightOnlyConfig(),
        }),
        ("fp6 in the blocks", new ModuleRules { ["blocks.*"] = new FPXWeightOnlyConfig(3, 2), ["*"] = ModuleRules.Skip }),
    ];

    public nn.Module<Tensor, Tensor> Load()
    {
        var network = new Network();
        ExampleFiles.Fill(network, "vit-fashion-mnist/model.safetensors");
        return network;
    }

    public Tensor Inputs()
    {
        using Tensor pixels = ExampleFiles.Read(Data, "images");
        using Tensor scaled = ((pixels.to(ScalarType.Float32) / 255) - 0.2860) / 0.3530;
        return scaled.unsqueeze(1);
    }

    public double Measure(Tensor outputs) => ExampleFiles.Accuracy(outputs, Data);

    private sealed class Network : nn.Module<Tensor, Tensor>
    {
        private const int Width = 64;

        private readonly Patches patch_embed = new(Width);
        private readonly Parameter cls_token = new(zeros(1, 1, Width));
        private readonly Parameter pos_embed = new(zeros(1, 17, Width));
        private readonly ModuleList<Block> blocks = nn.ModuleList([.. Enumerable.Range(0, 4).Select(_ => new Block(Width, heads: 4))]);
        private readonly nn.Module<Tensor, Tensor> norm = nn.LayerNorm(Width, eps: 1e-6);
        private readonly nn.Module<Tensor, Tensor> head = nn.Linear(Width, 10);

        public Network()
            : base(nameof(Network)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor patches = patch_embed.call(input);
            Tensor hidden = cat([cls_token.expand(input.size(0), -1, -1), patches], 1) + pos_embed;
            foreach (Block block in blocks)
            {
                hidden = block.call(hidden);
            }

            return head.call(norm.call(hidden).select(1, 0)).MoveToOuterDisposeScope();
        }
    }

    private sealed class Patches : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> proj;

        public Patches(int width)
            : base(nameof(Patches))
        {
            proj = nn.Conv2d(1, width, 7L, stride: 7L);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            using Tensor patches = proj.call(input);
            return patches.flatten(2).transpose(1, 2);
        }
    }

    private sealed class Block : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> norm1;
        private readonly Attention attn;
        private readonly nn.Module<Tensor, Tensor> norm2;
        private readonly Mlp mlp;

        public Block(int width, int heads)
            : base(nameof(Block))
        {
            norm1 = nn.LayerNorm(width, eps: 1e-6);
            attn = new Attention(width, heads);
            norm2 = nn.LayerNorm(width, eps: 1e-6);
            mlp = new Mlp(width);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor hidden = input + attn.call(norm1.call(input));
            return (hidden + mlp.call(norm2.call(hidden))).MoveToOuterDisposeScope();
        }
    }

    private sealed class Attention : nn.Module<Tensor, Tensor>
    {
        private readonly int heads;
        private readonly nn.Module<Tensor, Tensor> qkv;
        private readonly nn.Module<Tensor, Tensor> proj;

        public Attention(int width, int heads)
            : base(nameof(Attention))
        {
            this.heads = heads;
            qkv = nn.Linear(width, 3 * width);
            proj = nn.Linear(width, width);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            using DisposeScope scope = NewDisposeScope();
            (long batch, long count, long width) = (input.size(0), input.size(1), input.size(2));
            Tensor all = qkv.call(input).reshape(batch, count, 3, heads, width / heads).permute(2, 0, 3, 1, 4);
            Tensor attended = nn.functional.scaled_dot_product_attention(all[0], all[1], all[2]);
            return proj.call(attended.transpose(1, 2).reshape(batch, count, width)).MoveToOuterDisposeScope();
        }
    }

    private sealed class Mlp : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> fc1;
        private readonly nn.Module<Tensor, Tensor> fc2;

        public Mlp(int width)
            : base(nameof(Mlp))
        {
            fc1 = nn.Linear(width, 4 * width);
            fc2 = nn.Linear(4 * width, width);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            using Tensor wide = fc1.call(input);
            using Tensor active = nn.functional.gelu(wide);
            return fc2.call(active);
        }
    }
}
