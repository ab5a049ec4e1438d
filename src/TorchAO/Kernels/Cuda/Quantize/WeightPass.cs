using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Quantize;

/// <summary>One pass over a weight, ready to launch: its tensors, and what <c>quantize.cu</c> is compiled with and given.</summary>
internal sealed class WeightPass : IDisposable
{
    /// <summary>The file of the kernels.</summary>
    public const string File = "Quantize/quantize.cu";

    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    private const int Team = 32;
    private const int Eight = 8;
    private const int Alignment = 16;

    private readonly Tensor weight;

    private WeightPass(Tensor weight, WeightCodes result, Tensor state, (ScalarType, ScalarType, WeightPlan) variant, in Arguments settled)
    {
        (this.weight, Result, State) = (weight, result, state);
        (ScalarType input, ScalarType scale, WeightPlan plan) = variant;
        Variant = new(
            (int)CudaNumbers.Of(input), scale == ScalarType.Byte ? (int)CudaNumber.Exponent : (int)CudaNumbers.Of(scale), (int)plan.Rule,
            (int)(plan.Bits == 8 ? CodeLayout.Bytes : plan.Layout), plan.Bits, plan.FloatBits.Exponent, plan.FloatBits.Mantissa);
        Settled = settled;
    }

    /// <summary>Gets what the pass makes.</summary>
    public WeightCodes Result { get; }

    /// <summary>Gets int32 <c>[2]</c>: bits of the largest magnitude, and what is not 0 once a value was infinite or NaN.</summary>
    public Tensor State { get; }

    /// <summary>Gets what the file is compiled for.</summary>
    public PassVariant Variant { get; }

    /// <summary>Gets what the kernels are given.</summary>
    public Arguments Settled { get; }

    /// <summary>Settles a pass.</summary>
    /// <param name="weight">The weight <c>[N, K]</c> in bfloat16, float16 or float32; one that is not contiguous is copied.</param>
    /// <param name="plan">What to make of it.</param>
    /// <returns>The pass. The caller disposes it, and owns its result.</returns>
    public static WeightPass Create(Tensor weight, WeightPlan plan)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = weight.contiguous();
        (long n, long k) = (weight.size(0), weight.size(1));
        long group = Math.Min(plan.Group, k), groups = plan.IsShared ? 1 : k / group;
        ScalarType scaleType = plan.ScaleType ?? weight.dtype;
        long[] shape = plan.IsShared ? [1, 1] : [n, groups];
        long rowBytes = plan.RowBytes(k);
        Tensor codes = empty([n, rowBytes], dtype: plan.CodeType, device: weight.device);
        Tensor scales = plan.Given?.clone() ?? empty(shape, dtype: scaleType, device: weight.device);
        Tensor? zeros = plan.ZeroKind == CudaZeroPoint.None ? null : empty(shape, dtype: plan.ZeroKind switch
        {
            CudaZeroPoint.Byte => ScalarType.Byte,
            CudaZeroPoint.Int32 => ScalarType.Int32,
            _ => weight.dtype,
        }, device: weight.device);
        Tensor state = torch.zeros([2], dtype: ScalarType.Int32, device: weight.device);
        nint address = TensorMemory.DeviceAddress(x);
        var arguments = new Arguments
        {
            X = address,
            Codes = TensorMemory.DeviceAddress(codes),
            Scale = TensorMemory.DeviceAddress(scales),
            Zero = zeros is null ? 0 : TensorMemory.DeviceAddress(zeros),
            State = TensorMemory.DeviceAddress(state),
            N = checked((int)n),
            K = checked((int)k),
            RowBytes = checked((int)rowBytes),
            Group = (int)group,
            Groups = (int)groups,
            GroupShift = BitOperations.IsPow2(group) ? BitOperations.Log2((ulong)group) : -1,
            TeamThreads = (int)Math.Min(Team, BitOperations.RoundUpToPowerOf2((ulong)((group + Eight - 1) / Eight))),
            ScaleStride = plan.IsShared ? 0 : (int)groups,
            IsAligned = address % Alignment == 0 && k % Eight == 0 && group % Eight == 0 ? 1 : 0,
            Choice = (int)plan.Choice,
            Scaling = (int)plan.Scaling,
            ZeroKind = (int)plan.ZeroKind,
            PreservesZero = plan.PreservesZero ? 1 : 0,
            Divisor = (float)plan.Divisor,
            Smallest = (float)plan.Smallest,
            ChoiceLeast = (float)plan.ChosenFor.Least,
            ChoiceMost = (float)plan.ChosenFor.Most,
            Middle = (float)plan.Middle,
            Least = (float)plan.Range.Least,
            Most = (float)plan.Range.Most,
            MaxExponent = plan.MaxExponent,
        };
        plan.Table.Span.CopyTo(arguments.Table);
        var result = new WeightCodes(Keep(codes), Keep(scales), zeros is null ? null : Keep(zeros));
        return new WeightPass(Keep(x), result, Keep(state), (weight.dtype, scaleType, plan), arguments);
    }

    /// <summary>Disposes what the pass works on, but not its result.</summary>
    public void Dispose()
    {
        weight.Dispose();
        State.Dispose();
    }

    // Like other results, these belong to whoever asked, whatever scope is around.
    private static Tensor Keep(Tensor tensor) => tensor.MoveToOuterDisposeScope();

    /// <summary><c>QuantizeArguments</c> of <c>quantize.cuh</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Arguments
    {
        public nint X;
        public nint Codes;
        public nint Scale;
        public nint Zero;
        public nint State;
        public int N;
        public int K;
        public int RowBytes;
        public int Group;
        public int Groups;
        public int GroupShift;
        public int TeamThreads;
        public int ScaleStride;
        public int IsAligned;
        public int Choice;
        public int Scaling;
        public int ZeroKind;
        public int PreservesZero;
        public float Divisor;
        public float Smallest;
        public float ChoiceLeast;
        public float ChoiceMost;
        public float Middle;
        public float Least;
        public float Most;
        public int MaxExponent;
        public Values Table;
    }

    /// <summary>The values of sixteen codes.</summary>
    [InlineArray(16)]
    internal struct Values
    {
        private float first;
    }
}
