namespace TorchAO.Kernels;

/// <summary>A kernel that goes different ways, of which a report should say which.</summary>
internal interface IKernelOfWays
{
    /// <summary>Says which way a problem goes, in words that follow the kernel's name.</summary>
    string WayOf(in LinearProblem problem);
}
