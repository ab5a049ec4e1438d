using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using TorchAO.Runtime.Tests.Cuda.Kernels;
using TorchAO.Tests;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Cuda;

/// <summary>What the emulator of the tests takes for granted about fragments, copies and conversions, asked of a device.</summary>
public sealed class FragmentTests
{
    private static readonly CudaSource Source = CudaSource.FromResource(typeof(LaunchKernels).Assembly, "Cuda/Kernels/fragments.cu");

    [CudaTheory]
    [InlineData("product_bf16")]
    [InlineData("product_f16")]
    public void A_product_of_tiles_is_the_product_of_matrices(string entry)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = arange(256 + 128, dtype: ScalarType.Float32, device: CUDA).mul(7).remainder(13).sub(6);

        Tensor y = Run(entry, x, 128, 32).view(16, 8);

        Assert.True(x.narrow(0, 0, 256).view(16, 16).mm(x.narrow(0, 256, 128).view(16, 8)).equal(y).all().item<bool>());
    }

    [CudaTheory]
    [InlineData("load_matrix")]
    [InlineData("load_matrix_transposed")]
    public void Matrices_of_16_bits_are_loaded_as_fragments(string entry)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = arange(64, dtype: ScalarType.Float32, device: CUDA).view(8, 8);

        Tensor y = Run(entry, x, 64, 32).view(8, 8);

        Assert.True((entry == "load_matrix" ? x : x.t()).equal(y).all().item<bool>());
    }

    [CudaFact]
    public void What_an_asynchronous_copy_lacks_becomes_zero()
    {
        using DisposeScope scope = NewDisposeScope();
        float[] expected = [1, 2, 0, 0, 5, 6, 7, 8];
        Assert.Equal(expected, Run("all_copies", arange(1, 9, dtype: ScalarType.Float32, device: CUDA), 8, 1).cpu().data<float>().ToArray());
    }

    [CudaFact]
    public void Small_floats_round_as_the_emulator_rounds()
    {
        Assert.SkipUnless(CudaDevice.Get(0).Architecture is not ("sm_80" or "sm_86" or "sm_87"), "conversions of float8 need compute capability 8.9");
        using DisposeScope scope = NewDisposeScope();
        float[] numbers = [0, -1.5f, 1.1f, 448, 1000, 3e-3f, -9.8e-4f, 65519, 1e-7f, float.PositiveInfinity];
        float[] float8 = [0, -1.5f, 1.125f, 448, 448, 2f / 512, -1f / 512, 448, 0, 448];
        Tensor x = tensor(numbers, device: CUDA);

        Tensor y = Run("small_floats", x, 40, numbers.Length).view(10, 4);

        Assert.True(x.half().to_type(ScalarType.Float32).equal(y.select(1, 0)).all().item<bool>());
        Assert.True(x.bfloat16().to_type(ScalarType.Float32).equal(y.select(1, 1)).all().item<bool>());
        Assert.Equal(float8, y.select(1, 2).contiguous().cpu().data<float>().ToArray());
    }

    private static Tensor Run(string entry, Tensor x, int count, int threads)
    {
        Tensor y = full(count, float.NaN, device: CUDA);
        new CudaKernel(Source, entry).Launch(
            CudaStream.Current(CudaDevice.Get(0)),
            new LaunchKernels.Arguments(TensorMemory.DeviceAddress(x), TensorMemory.DeviceAddress(y), count, 1), 1, threads);
        return y;
    }
}
