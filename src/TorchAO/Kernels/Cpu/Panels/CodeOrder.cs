namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>In which order a panel holds the codes of a row, and therefore the activations.</summary>
internal enum CodeOrder
{
    /// <summary>As in the weight.</summary>
    Natural,

    /// <summary>Of eight neighbours 0, 2, 4, 6, 1, 3, 5, 7: as the halves of four bytes come out.</summary>
    EvenOdd,
}
