namespace TorchAO.Runtime.Cuda;

/// <summary>A header that goes to the compiler with a source.</summary>
/// <param name="Name">The name by which it is included.</param>
/// <param name="Text">What is in it.</param>
/// <param name="Origin">The embedded file that it is.</param>
internal sealed record CudaHeader(string Name, string Text, string Origin);
