using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Modules of TorchSharp whose parameters live in libtorch, which reads them past every object on this side.</summary>
internal static class NativeModules
{
    /// <summary>Tells whether a module offers no way to give it another parameter.</summary>
    public static bool IsClosed(nn.Module module) => module is LSTM or GRU or RNN or LSTMCell or GRUCell or RNNCell
        or MultiheadAttention or Transformer or TransformerEncoder or TransformerEncoderLayer
        or TransformerDecoder or TransformerDecoderLayer;

    /// <summary>Gives a module that keeps its weight in libtorch another one.</summary>
    /// <param name="module">Any module that is not closed.</param>
    /// <param name="weight">The weight, which the module shares.</param>
    /// <returns>Whether the module is of this kind; others see a weight by their own objects.</returns>
    public static bool TryGive(nn.Module module, Tensor weight)
    {
        switch (module)
        {
            case Embedding embedding:
                embedding.weight = LinearParameters.Adopt(TensorContents.Again(weight), weight.requires_grad);
                return true;
            case EmbeddingBag bag:
                bag.weight = LinearParameters.Adopt(TensorContents.Again(weight), weight.requires_grad);
                return true;
            default:
                return false;
        }
    }
}
