using TorchAO.Formats.UIntX;
using TorchAO.Primitives;
using TorchAO.Tests.Contracts;
using Xunit;

namespace TorchAO.Tests.Formats.UIntX;

public sealed class IntxConfigTests
{
    [Fact]
    public void Six_bits_are_six()
    {
        using var weight = (UIntXTensor)ContractCases.Quantize(
            new IntxWeightOnlyConfig { WeightDType = QuantizedType.Signed(6) }, 4, 256); // 4 bits in torchao

        Assert.Equal(6, weight.Bits);
    }

    [Fact]
    public void Rounded_activations_change_no_weight()
    {
        var config = new Int8DynamicActivationIntxWeightConfig { WeightDType = QuantizedType.Signed(3) };
        using var plain = (UIntXTensor)ContractCases.Quantize(new IntxWeightOnlyConfig { WeightDType = QuantizedType.Signed(3) }, 4, 256);
        using var dynamic = (UIntXTensor)ContractCases.Quantize(config, 4, 256);

        ContractCases.AssertSame(plain, dynamic);
        Assert.Equal(ActivationScheme.Int8PerTokenAsymmetric, ContractCases.Catalog.Handler(config).Activation(config));
    }
}
