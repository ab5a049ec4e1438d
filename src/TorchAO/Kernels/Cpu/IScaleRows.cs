namespace TorchAO.Kernels.Cpu;

/// <summary>The scales of a weight as float32, a row at a time, however they are stored.</summary>
/// <remarks>Every worker has its own copy; scratch space is the caller's.</remarks>
internal unsafe interface IScaleRows
{
    /// <summary>Gets the room that <see cref="Row"/> wants; 0 where scales are stored as float32.</summary>
    int Scratch { get; }

    /// <summary>Gets the scales of a row.</summary>
    /// <param name="row">The row's index.</param>
    /// <param name="scratch">Room for <see cref="Scratch"/> values.</param>
    float* Row(long row, float* scratch);
}
