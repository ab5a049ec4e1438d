using System.Runtime.InteropServices;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Emulation;

/// <summary>The emulator itself: on the kernels that test the launcher, and on mistakes that it must find.</summary>
public sealed unsafe class EmulatedKernelTests
{
    private const string Launch = "tests/TorchAO.Runtime.Tests/Cuda/Kernels/launch.cu";
    private const string Fragments = "tests/TorchAO.Runtime.Tests/Cuda/Kernels/fragments.cu";
    private const string Mistakes = "tests/TorchAO.Tests/Kernels/Cuda/Emulation/mistakes.cu";

    [Fact]
    public void Threads_of_all_blocks_run()
    {
        float[] x = [.. Enumerable.Range(0, 1000).Select(i => (float)i)], y = Run(Launch, "scale", x, 1000, 3, 4, 256, options: "-DOFFSET=2");

        Assert.Equal(x.Select(value => (3 * value) + 2), y);
    }

    [Fact]
    public void Dynamic_shared_memory_is_shared_behind_a_barrier()
    {
        float[] x = [.. Enumerable.Range(0, 3 * 200).Select(i => (float)i)];

        float[] y = Run(Launch, "reverse_shared", x, 200, 1, 3, 64, 800, "-DOFFSET=2");

        Assert.Equal(Enumerable.Range(0, 3).SelectMany(block => x.AsEnumerable().Skip(200 * block).Take(200).Reverse()), y);
    }

    [Fact]
    public void Warps_shuffle()
    {
        float[] x = [.. Enumerable.Range(1, 1000).Select(i => (float)i)];

        Assert.Equal(1001000f, Run(Launch, "block_sum", x, 1000, 2, 1, 256, options: "-DOFFSET=2")[0]);
    }

    [Theory]
    [InlineData("parted_at_barriers", "deadlock: 7 threads wait at __syncthreads, 25 at __syncwarp, for others that never come")]
    [InlineData("too_few_arrivals", "deadlock: 1 threads wait at the barrier last, 31 at the barrier ready[1], for others that never come")]
    [InlineData("never_changed", "deadlock: 32 threads wait at a loop, for others that never come")]
    [InlineData("no_barrier", "thread [0, 0, 0] of block [0, 0, 0]: no barrier was begun at nothing")]
    [InlineData("parted_at_shuffle", "threads that should do the same are at __syncwarp and at __shfl_xor_sync")]
    [InlineData("from_an_ended_lane", "thread [7, 0, 0] of block [0, 0, 0]: __shfl_xor_sync reads lane 15, which does not take part")]
    [InlineData("unknown_instruction", "the emulator does not know wgmma.fence.sync.aligned")]
    [InlineData("skewed_copy", "cp.async.cg.shared.global of 16 bytes to or from an address that is no multiple of them")]
    public void A_mistake_is_told(string entry, string message)
    {
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => Run(Mistakes, entry, new float[64], 64, 1, 1, 32));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_struct_of_another_size_is_told()
    {
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(
            () => EmulatedKernel.Compile(Launch, "scale", "-DOFFSET=2").Run(1.0, 1, 32));
        Assert.Contains("the kernel takes 32 bytes, got 8", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("all_copies", new float[] { 1, 2, 0, 0, 5, 6, 7, 8 })]
    [InlineData("older_copies", new float[] { 1, 2, 0, 0, -1, -1, -1, -1 })]
    public void An_asynchronous_copy_arrives_when_it_is_waited_for(string entry, float[] expected)
        => Assert.Equal(expected, Run(Fragments, entry, [1, 2, 3, 4, 5, 6, 7, 8], 8, 1, 1, 1));

    [Theory]
    [InlineData("product_bf16")]
    [InlineData("product_f16")]
    public void A_product_of_tiles_is_the_product_of_matrices(string entry)
    {
        float[] x = [.. Enumerable.Range(0, 256 + 128).Select(i => (float)((i * 7 % 13) - 6))];

        float[] y = Run(Fragments, entry, x, 0, 1, 1, 32);

        for (int i = 0; i < 128; i++)
        {
            Assert.Equal(Enumerable.Range(0, 16).Sum(k => x[(16 * (i / 8)) + k] * x[256 + (8 * k) + (i % 8)]), y[i]);
        }
    }

    [Theory]
    [InlineData("load_matrix", false)]
    [InlineData("load_matrix_transposed", true)]
    public void Matrices_of_16_bits_are_loaded_as_fragments(string entry, bool isTransposed)
    {
        float[] x = [.. Enumerable.Range(0, 64).Select(i => (float)i)];

        Assert.Equal(isTransposed ? x.Select((_, i) => (float)((8 * (i % 8)) + (i / 8))) : x, Run(Fragments, entry, x, 0, 1, 1, 32));
    }

    [Fact]
    public void Small_floats_round_as_the_device_rounds()
    {
        float[] numbers = [0, -1.5f, 1.1f, 448, 1000, 3e-3f, -9.8e-4f, 65519, 1e-7f, float.PositiveInfinity];
        float[] float8 = [0, -1.5f, 1.125f, 448, 448, 2f / 512, -1f / 512, 448, 0, 448];

        float[] y = Run(Fragments, "small_floats", [.. numbers, .. new float[30]], 0, 1, 1, numbers.Length);

        for (int i = 0; i < numbers.Length; i++)
        {
            using Tensor number = tensor(numbers[i]), bf16 = number.bfloat16(), widened = bf16.to_type(ScalarType.Float32);
            Assert.Equal((float)(Half)numbers[i], y[4 * i]);
            Assert.Equal(widened.item<float>(), y[(4 * i) + 1]);
            Assert.Equal(float8[i], y[(4 * i) + 2]);
        }
    }

    [Fact]
    public void Assembly_is_rewritten_with_its_operands_in_order()
        => Assert.Equal(
            "x; EMULATED_PTX(\"mov.b32 %0, %1; // (\", emulated::PtxOperand::out((y[f(1, 2)]), false), emulated::PtxOperand::in<uint32_t>((a ? b : c))); // asm(",
            InlineAssembly.Rewrite("x; asm volatile(\"mov.b32 %0, %1; // (\" : \"=r\"(y[f(1, 2)]) : \"r\"(a ? b : c) : \"memory\"); // asm("));

    private static float[] Run(string file, string entry, float[] x, long count, float factor, int grid, int block, int shared = 0, params string[] options)
    {
        float[] y = new float[x.Length];
        EmulatedKernel kernel = EmulatedKernel.Compile(file, entry, options);
        // The copies of 16 bytes need such addresses.
        float* from = (float*)NativeMemory.AlignedAlloc((nuint)x.Length * sizeof(float), 64);
        float* to = (float*)NativeMemory.AlignedAlloc((nuint)y.Length * sizeof(float), 64);
        try
        {
            x.CopyTo(new Span<float>(from, x.Length));
            kernel.Run(new Arguments((nint)from, (nint)to, count, factor), grid, block, shared);
            new Span<float>(to, y.Length).CopyTo(y);
            return y;
        }
        finally
        {
            NativeMemory.AlignedFree(from);
            NativeMemory.AlignedFree(to);
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Arguments(nint X, nint Y, long Count, float Factor);
}
