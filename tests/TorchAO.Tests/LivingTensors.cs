using TorchSharp;

namespace TorchAO.Tests;

/// <summary>The count of tensors that live in the process, fit for comparing before and after.</summary>
internal static class LivingTensors
{
    /// <summary>Counts them after those that earlier tests left to the finalizer are gone.</summary>
    /// <remarks>
    /// TorchSharp counts for the whole process: a finalizer that ran between two bare readings would change the second.
    /// Read <see cref="torch.Tensor.TotalCount"/> itself afterwards, so that what the code in between leaves to the finalizer
    /// still counts.
    /// </remarks>
    public static long CountSettled()
    {
#pragma warning disable RS0030 // the collector has to run for the finalizers to have nothing left to do
        GC.Collect();
        GC.WaitForPendingFinalizers();
#pragma warning restore RS0030
        return torch.Tensor.TotalCount;
    }
}
