using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Fused;
using TorchAO.Models.Llama.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>Computes <c>down(silu(gate(x)) · up(x))</c> (Shazeer 2020, arXiv:2002.05202).</summary>
internal sealed class LlamaMlp : nn.Module<Tensor, Tensor>
{
    private readonly LlamaConfig config;
    private readonly nn.Module<Tensor, Tensor> gate_proj;
    private readonly nn.Module<Tensor, Tensor> up_proj;
    private readonly nn.Module<Tensor, Tensor> down_proj;

    public LlamaMlp(LlamaConfig config, ScalarType dtype, Device? device)
        : base(nameof(LlamaMlp))
    {
        this.config = config;
        gate_proj = nn.Linear(config.HiddenSize, config.IntermediateSize, config.HasMlpBias, device, dtype);
        up_proj = nn.Linear(config.HiddenSize, config.IntermediateSize, config.HasMlpBias, device, dtype);
        down_proj = nn.Linear(config.IntermediateSize, config.HiddenSize, config.HasMlpBias, device, dtype);
        RegisterComponents();
    }

    /// <summary>Gets whether somebody waits for the module to be called.</summary>
    public bool HasHooks => pre_hooks.Count + post_hooks.Count + module_pre_hooks.Count + module_post_hooks.Count > 0;

    public override Tensor forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor gate = nn.functional.silu(gate_proj.call(input));
        return down_proj.call(gate.mul(up_proj.call(input))).MoveToOuterDisposeScope();
    }

    /// <summary>Gets the layers in the order of <see cref="Record"/>.</summary>
    public IEnumerable<object> Layers => [gate_proj, up_proj, down_proj];

    /// <summary>Adds what the network does to a decode graph: from the residual stream behind a norm back to the stream.</summary>
    public void Record(DecodeRecorder recorder, RmsNorm norm)
    {
        GraphBuffers buffers = recorder.Buffers;
        recorder.Multiply([gate_proj, up_proj], buffers.Hidden, buffers.Gated, GemvEpilogue.Gate, norm);
        recorder.Multiply([down_proj], buffers.Gated, buffers.Hidden, GemvEpilogue.Add);
    }

    /// <summary>Computes the same for the few rows of a decode step, which are in the buffers. The caller disposes the result.</summary>
    public Tensor Decode(DecodeBuffers buffers)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor input = buffers.Hidden.Seal();
        Tensor gate = FloatValues.Contiguous(gate_proj.call(input)), up = FloatValues.Contiguous(up_proj.call(input));
        GatedRows.Run(
            FloatValues.Of(gate, buffers.First(config.IntermediateSize)), FloatValues.Of(up, buffers.Second(config.IntermediateSize)),
            buffers.Gated.Values);
        return FloatValues.Contiguous(down_proj.call(buffers.Gated.Seal())).MoveToOuterDisposeScope();
    }
}
