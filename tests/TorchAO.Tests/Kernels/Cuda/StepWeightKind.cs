namespace TorchAO.Tests.Kernels.Cuda;

/// <summary>Kinds of stored weights that steps are tested with.</summary>
public enum StepWeightKind
{
    Half,
    Int8Rows,
    Int8Groups32,
    Float8E4M3,
    Float8E5M2,
    Float8Shared,
    Int4Groups32,
    Int4Groups64,
    Int4Groups128,
    Int4Symmetric,
    Int4Codes,
}
