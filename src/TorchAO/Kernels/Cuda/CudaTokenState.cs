using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>Where the tokens of a batch stand, in device memory.</summary>
/// <param name="Tokens">int32 <c>[B]</c>: the next input.</param>
/// <param name="Position">int32, one number: where that input stands.</param>
/// <param name="History">int32 <c>[positions, B]</c>: the token at each position, one behind the cache included.</param>
public sealed record CudaTokenState(Tensor Tokens, Tensor Position, Tensor History);
