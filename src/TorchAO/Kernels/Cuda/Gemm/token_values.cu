// Rounds activations to integers with a scale and perhaps a zero point a token, and keeps code less zero point in bfloat16, which holds
// every integer up to 256: for products of codes on matrix units of 16 bits, with the token's scale at the end.
//
// Formula (the arithmetic of ActivationScheme, T the type of x):
//   symmetric:  scale = max(amax / half range, smallest scale) in T; value = clamp(round(x * (1 / scale)))
//               in T where the scales have it, in float32 otherwise
//   asymmetric: scale = max((high - low) / range, smallest scale), zero = clamp(min code - round(low / scale)) in T;
//               value = clamp(round(x * (1 / scale)) + zero) - zero in float64
// Shapes: x [m, k] bf16, f16 or f32, values [m, k] bf16, scales [m] float32. k is a multiple of 8.
// Reads: x once from memory, a second time from cache. Bound: memory. Launch: m blocks of 256 threads.
// Reference: ActivationScheme.Round on the CPU.
//
// Defines: IN the number of the type of x; ASYMMETRIC 0 or 1; ROUNDS 1 where scales have the type of x, or 0.
// Variant: -DIN=1 -DASYMMETRIC=1 -DROUNDS=0
// Variant: -DIN=2 -DASYMMETRIC=0 -DROUNDS=1
// Variant: -DIN=3 -DASYMMETRIC=0 -DROUNDS=0
#include "token_rows.cuh"

struct ValueArguments
{
    const void* x;
    u16* values;
    float* scales;
    long long k;
    float divisor;       // half the range of codes, or all of it
    float smallest;      // scale
    float min, max;      // codes
};

struct Grid { float scale, zero; };

__device__ __forceinline__ Grid choose(const ValueArguments& args, const Range& range)
{
#if ASYMMETRIC
    float scale = fmaxf(rounded<IN>(__fdiv_rn(rounded<IN>(range.high - range.low), args.divisor)), rounded<IN>(args.smallest));
    float zero = rounded<IN>(-rintf(rounded<IN>(__fdiv_rn(range.low, scale))) + args.min);
    Grid grid = {scale, fminf(fmaxf(zero, args.min), args.max)};
#else
    Grid grid = {fmaxf(rounded<IN>(__fdiv_rn(fmaxf(-range.low, range.high), args.divisor)), rounded<IN>(args.smallest)), 0.0f};
#endif
    return grid;
}

// An integer of the code's range, moved by the zero point.
__device__ __forceinline__ float value_of(const ValueArguments& args, float x, const Grid& grid)
{
#if ASYMMETRIC
    double code = rint((double)x * (1.0 / (double)grid.scale)) + (double)grid.zero;
    return (float)(fmin(fmax(code, (double)args.min), (double)args.max) - (double)grid.zero);
#else
    float inverse = __fdiv_rn(1.0f, grid.scale);
#if ROUNDS
    inverse = rounded<IN>(inverse);
#endif
    float steps = __fmul_rn(x, inverse);
#if ROUNDS
    steps = rounded<IN>(steps);
#endif
    return fminf(fmaxf(rintf(steps), args.min), args.max);
#endif
}

extern "C" __global__ void __launch_bounds__(THREADS) token_values(const __grid_constant__ ValueArguments args)
{
    long long row = blockIdx.x;
    Grid grid = choose(args, row_range(args.x, row, args.k));
    if (threadIdx.x == 0)
    {
        args.scales[row] = grid.scale;
    }

    for (long long i = threadIdx.x; i < args.k / 8; i += THREADS)
    {
        long long index = row * (args.k / 8) + i;
        Eight x = load_eight<IN>(args.x, index);
        u32 packed[4];
        for (int j = 0; j < 4; j++)
        {
            packed[j] = pack_pair<TYPE_BF16>(value_of(args, x.value[2 * j], grid), value_of(args, x.value[2 * j + 1], grid));
        }

        ((uint4*)args.values)[index] = make_uint4(packed[0], packed[1], packed[2], packed[3]);
    }
}
