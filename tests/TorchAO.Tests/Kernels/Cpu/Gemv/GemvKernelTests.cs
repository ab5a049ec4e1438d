using System.Runtime.InteropServices;
using TorchAO.Kernels.Cpu.Emitted;
using TorchAO.Kernels.Cpu.Gemv;
using Xunit;

namespace TorchAO.Tests.Kernels.Cpu.Gemv;

/// <summary>The emitted code and its twin in intrinsics against each other and the definition, on operands that end at a page's end.</summary>
public sealed unsafe class GemvKernelTests
{
    public static TheoryData<int, int, int, int> Cases()
    {
        var data = new TheoryData<int, int, int, int>();
        foreach (int planes in new[] { 1, 3 })
        {
            // Every group size that can be cut, with rows that end in a block, in a unit and in a part of one.
            foreach ((int bits, int k, int group) in new[]
                     {
                         (8, 512, 512), (8, 1024, 64), (8, 1024, 128), (8, 1536, 512), (8, 96, 32), (8, 160, 32), (8, 80, 16), (8, 1472, 1472),
                         (4, 128, 128), (4, 512, 128), (4, 512, 32), (4, 160, 32), (4, 320, 64), (4, 1024, 256), (4, 2176, 128), (4, 2176, 32),
                     })
            {
                data.Add(bits, planes, k, group);
            }

            for (int k = 1; k < 150; k += k < 20 ? 1 : 7)
            {
                data.Add(8, planes, k, k);
                data.Add(4, planes, k, k);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_twin_gives_what_the_definition_gives(int bits, int planes, int k, int group)
    {
        foreach (int rows in new[] { 1, 4 })
        {
            var problem = new RandomGemv(bits, planes, rows, 3, k, group, hasZeros: bits == 4);
            float[] actual = problem.Run((shape, operands) => GemvKernel.Wide(shape, &operands));
            double[] expected = problem.Definition(out double[] magnitudes);
            for (int i = 0; i < actual.Length; i++)
            {
                Assert.True(Math.Abs(actual[i] - expected[i]) <= magnitudes[i] * 1e-6, $"{i}: {actual[i]}, expected {expected[i]}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_emitted_code_agrees_with_the_twin_bit_for_bit(int bits, int planes, int k, int group)
    {
        Assert.SkipUnless(EmittedCode.HasByteProducts, EmittedCode.ByteProductsUnavailable ?? string.Empty);
        foreach (int rows in new[] { 1, 2, 3, 4 })
        {
            foreach (int weightRows in new[] { 1, 4, 7 })
            {
                var problem = new RandomGemv(bits, planes, rows, weightRows, k, group, hasZeros: (k + rows) % 2 == 0);
                Assert.Equal(
                    problem.Run((shape, operands) => GemvKernel.Wide(shape, &operands)), problem.Run((shape, operands) => GemvFunction.Emitted(shape).Run(operands)));
            }
        }
    }

    private delegate void Kernel(GemvShape shape, GemvArguments operands);

    /// <summary>Random operands of a product.</summary>
    private sealed class RandomGemv
    {
        private readonly GemvShape shape;
        private readonly int weightRows;
        private readonly int k;
        private readonly int group;
        private readonly int offset;
        private readonly int rowBytes;
        private readonly byte[] codes;
        private readonly float[] scales;
        private readonly float[] zeros;
        private readonly float[] x;

        public RandomGemv(int bits, int planes, int rows, int weightRows, int k, int group, bool hasZeros)
        {
            (int blockUnits, int groupsPerUnit) = GemvShape.Cut(bits, k, group);
            Assert.NotEqual(0, blockUnits);
            shape = new GemvShape(bits, planes, rows, 1, blockUnits, groupsPerUnit, hasZeros);
            this.weightRows = weightRows;
            this.k = k;
            this.group = group;
            offset = 1 << (bits - 1);
            rowBytes = ((k * bits) + 7) / 8;
            var random = new Random((k * 10) + rows + weightRows);
            codes = new byte[weightRows * rowBytes];
            random.NextBytes(codes);
            scales = [.. Enumerable.Range(0, weightRows * (k / group)).Select(_ => (float)random.NextDouble())];
            zeros = [.. Enumerable.Range(0, weightRows * (k / group)).Select(_ => (float)random.NextDouble() - 0.5f)];
            x = [.. Enumerable.Range(0, rows * k).Select(_ =>
                planes == 1 ? random.Next(-128, 128) : (float)(random.NextDouble() - 0.5) * MathF.Pow(2, random.Next(-8, 8)))];
        }

        public float[] Run(Kernel kernel)
        {
            float[] y = new float[shape.Rows * weightRows];
            using GemvActivations activations = Activations();
            using var guarded = new GuardedOperands(codes, Bytes(scales), Bytes(zeros));
            fixed (float* result = y)
            {
                GemvArguments operands = default;
                activations.Point(&operands);
                operands.Weight = (byte*)guarded[0];
                operands.WeightStride = rowBytes;
                operands.Scales = (float*)guarded[1];
                operands.ScaleStride = k / group * sizeof(float);
                operands.Zeros = (float*)guarded[2];
                operands.ZeroStride = k / group * sizeof(float);
                operands.Y = result;
                operands.YStride = weightRows * sizeof(float);
                operands.WeightRows = weightRows;
                kernel(shape, operands);
            }

            return y;
        }

        public double[] Definition(out double[] magnitudes)
        {
            double[] y = new double[shape.Rows * weightRows];
            magnitudes = new double[y.Length];
            for (int m = 0; m < shape.Rows; m++)
            {
                double largest = Enumerable.Range(0, k).Max(i => Math.Abs(x[(m * k) + i]));
                for (int n = 0; n < weightRows; n++)
                {
                    for (int i = 0; i < k; i++)
                    {
                        int g = (n * (k / group)) + (i / group);
                        int code = shape.Bits == 8 ? (sbyte)codes[(n * rowBytes) + i] : (codes[(n * rowBytes) + (i / 2)] >> (i % 2 * 4)) & 15;
                        double value = ((shape.Bits == 8 ? code : code - offset) * (double)scales[g]) + (shape.HasZeros ? zeros[g] : 0);
                        y[(m * weightRows) + n] += value * x[(m * k) + i];
                        magnitudes[(m * weightRows) + n] += (Math.Abs(value) + scales[g]) * largest;
                    }
                }
            }

            return y;
        }

        private GemvActivations Activations()
        {
            if (shape.Planes == 1)
            {
                sbyte[] bytes = [.. x.Select(value => (sbyte)value)];
                fixed (sbyte* from = bytes)
                {
                    return GemvActivations.FromCodes(shape, from, k, group, offset);
                }
            }

            fixed (float* from = x)
            {
                return GemvActivations.Exact(shape, from, k, group, offset)!;
            }
        }

        private static byte[] Bytes(float[] values) => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
    }
}
