using System.Runtime.Intrinsics;

namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>What happens to the bytes of a weight on their way into a panel.</summary>
internal interface IByteTransform
{
    /// <summary>Transforms four bytes.</summary>
    static abstract uint Apply(uint bytes);

    /// <summary>The same for sixteen times four.</summary>
    static abstract Vector512<uint> Apply(Vector512<uint> bytes);
}
