namespace TorchAO.Primitives.Kernels;

/// <summary>How a row of codes, a byte each, becomes fewer bytes.</summary>
internal unsafe interface IRowPacker
{
    /// <summary>Packs a row.</summary>
    /// <param name="codes">K codes.</param>
    /// <param name="packed">Receives the row's bytes, all of them.</param>
    void Pack(byte* codes, byte* packed);
}
