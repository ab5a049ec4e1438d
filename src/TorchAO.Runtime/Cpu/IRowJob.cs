namespace TorchAO.Runtime.Cpu;

/// <summary>Work on a range of rows; a struct, so that starting it allocates nothing.</summary>
public interface IRowJob
{
    /// <summary>Does the rows <c>[begin, end)</c>. Runs on several threads at once, on disjoint ranges.</summary>
    void Run(long begin, long end);
}
