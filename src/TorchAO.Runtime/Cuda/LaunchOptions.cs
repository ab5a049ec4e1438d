namespace TorchAO.Runtime.Cuda;

/// <summary>What a launch asks for beyond grid, block and shared memory; the default asks for nothing.</summary>
public readonly record struct LaunchOptions
{
    /// <summary>Gets whether the kernel may begin before the one before it in the stream has ended.</summary>
    /// <value>Default <see langword="false"/>. Compute capability 9.0 and newer; ignored by older devices, where the kernel then begins
    /// after its predecessor as always. The kernel waits itself (<c>griddepcontrol.wait</c>) before it reads what that one wrote.</value>
    public bool OverlapsPredecessor { get; init; }

    /// <summary>Gets how many blocks form a cluster, which share their shared memory.</summary>
    /// <value>Default none. Compute capability 9.0 and newer; the grid must be a multiple of it.</value>
    public Dim3? Cluster { get; init; }

    /// <summary>Gets whether all blocks run at once, so that they may wait for one another.</summary>
    /// <value>Default <see langword="false"/>. A grid that does not fit the device is refused with an error.</value>
    public bool IsCooperative { get; init; }
}
