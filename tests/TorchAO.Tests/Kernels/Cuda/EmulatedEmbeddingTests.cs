using TorchAO.Kernels.Cuda;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tests.Kernels.Cuda.Emulation;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda;

/// <summary>Rows of embedding tables of every form, lane by lane on the CPU.</summary>
public sealed class EmulatedEmbeddingTests
{
    private const int Vocabulary = 9, Width = 96, Group = 32, Threads = 256;

    public enum Table
    {
        Int8Rows,
        Int4Values,
        Int4Bytes,
        Int4Integers,
        Float8E4M3Rows,
        Float8E5M2Shared,
    }

    [Theory]
    [InlineData(Table.Int8Rows)]
    [InlineData(Table.Int4Values)]
    [InlineData(Table.Int4Bytes)]
    [InlineData(Table.Int4Integers)]
    [InlineData(Table.Float8E4M3Rows)]
    [InlineData(Table.Float8E5M2Shared)]
    public void Rows_are_those_of_the_table(Table form)
    {
        using DisposeScope scope = NewDisposeScope();
        using var generator = new Generator(2);
        (StoredCodes stored, Tensor numbers) = Make(form, generator);
        Tensor tokens = tensor((int[])[8, 0, 3]), hidden = full([3, Width], double.NaN, dtype: ScalarType.Float32);
        var table = new CudaWeight(stored, [Vocabulary, Width]);

        EmulatedKernel.Compile(
            "src/TorchAO/Kernels/Cuda/tokens.cu", "embed", $"-DACT={(int)CudaNumber.Float32}", $"-DTABLE={(int)table.Code}",
            $"-DSCALE={(int)table.ScaleNumber!}", $"-DZERO={(int)table.ZeroKind}")
            .Run(new CudaEmbedding(table, tokens, hidden).Settled, new Runtime.Cuda.Dim3(1, 3), Threads);

        long groups = stored.Scale.size(1);
        Tensor middle = stored.ZeroKind is CudaZeroPoint.Byte or CudaZeroPoint.Int32
            ? stored.ZeroPoint!.to(ScalarType.Float32).unsqueeze(2)
            : tensor(stored.Bits == 4 ? 8f : 0f);
        Tensor values = (numbers.view(Vocabulary, groups, -1) - middle) * stored.Scale.unsqueeze(2);
        values = stored.ZeroKind == CudaZeroPoint.Value ? values + stored.ZeroPoint!.unsqueeze(2) : values;
        Assert.True(allclose(values.view(Vocabulary, Width).index_select(0, tokens), hidden, 1e-6, 1e-6));
    }

    // The codes as they are stored, and as numbers.
    private static (StoredCodes Stored, Tensor Numbers) Make(Table form, Generator generator)
    {
        if (form is Table.Int4Values or Table.Int4Bytes or Table.Int4Integers)
        {
            Tensor codes = randint(0, 16, [Vocabulary, Width / 2, 2], generator: generator);
            Tensor packed = (codes.select(2, 0) + (codes.select(2, 1) * 16)).to(ScalarType.Byte);
            long[] groups = [Vocabulary, Width / Group];
            Tensor zero = form == Table.Int4Values ? rand(groups, generator: generator)
                : randint(0, 16, groups, generator: generator).to(form == Table.Int4Bytes ? ScalarType.Byte : ScalarType.Int32);
            return (
                new StoredCodes(packed, CodeLayout.Nibbles, 4, CodeValue.Unsigned, rand(groups, generator: generator)) { ZeroPoint = zero },
                codes.to(ScalarType.Float32).view(Vocabulary, Width));
        }

        Tensor numbers = form == Table.Int8Rows ? randint(-128, 128, [Vocabulary, Width], generator: generator).to(ScalarType.Float32)
            : randn([Vocabulary, Width], generator: generator);
        (ScalarType type, CodeValue value) = form switch
        {
            Table.Int8Rows => (ScalarType.Int8, CodeValue.Signed),
            Table.Float8E4M3Rows => (ScalarTypes.Float8E4M3, CodeValue.Float8E4M3),
            _ => (ScalarTypes.Float8E5M2, CodeValue.Float8E5M2),
        };
        Tensor stored = numbers.to(type), scale = rand([form == Table.Float8E5M2Shared ? 1 : Vocabulary, 1], generator: generator);
        return (new StoredCodes(stored, CodeLayout.Bytes, 8, value, scale), stored.to(ScalarType.Float32));
    }
}
