using TorchAO.Runtime.Cpu;
using Xunit;

namespace TorchAO.Runtime.Tests.Cpu;

public sealed class CpuFeaturesTests
{
    [Fact]
    public void The_avx512_family_is_named_once()
    {
        Assert.Equal("AVX-512 F/BW/VBMI, AVX-VNNI", CpuFeatures.Join(["AVX-512 F", "AVX-512 BW", "AVX-512 VBMI", "AVX-VNNI"]));
        Assert.Equal("AVX2, FMA", CpuFeatures.Join(["AVX2", "FMA"]));
        Assert.Equal("baseline instructions", CpuFeatures.Join([]));
    }

    [Fact]
    public void The_description_names_model_and_cores()
    {
        string text = CpuFeatures.Describe();
        Assert.Contains(CpuFeatures.ModelName, text, StringComparison.Ordinal);
        Assert.Contains($"{Environment.ProcessorCount} logical cores", text, StringComparison.Ordinal);
    }
}
