// Rounds activations to codes of one byte with a scale a token, or one for all: the largest magnitude, the scale, and the codes in one launch.
//
// Formula (the arithmetic of ActivationScheme, each step rounded to the type that its tensor arithmetic has):
//   scale = max(amax / largest code, smallest scale)   in the type of x
//   code  = clamp(round(x * (1 / scale)))              in the type of x where the scales have it, in float32 otherwise
// Shapes: x [m, k] bf16, f16 or f32, codes [m, k], scales [m] or [1], float32. k is a multiple of 8.
// Reads: x once from memory, a second time from cache. Bound: memory.
// Launch: m blocks of 256 threads. With one scale for all, token_amax first and token_codes with it.
// Reference: ActivationScheme.Quantize on the CPU.
//
// Defines: IN the number of the type of x; CODES 8 (int8), 80 (e4m3fn) or 52 (e5m2); ROUNDS 1 where scales have the type of x, or 0.
// Variant: -DIN=1 -DCODES=8 -DROUNDS=1
// Variant: -DIN=2 -DCODES=80 -DROUNDS=0
// Variant: -DIN=3 -DCODES=52 -DROUNDS=0
#include "token_rows.cuh"

struct TokenArguments
{
    const void* x;
    u8* codes;
    float* scales;       // written by token_codes with a scale a token; read where there is one for all
    u32* amax;           // bits of the largest magnitude of all tokens; null with a scale a token
    long long k;
    float largest;       // code
    float smallest;      // scale
    int scale_kind;      // 0 a token, 1 one for all from amax, 2 one for all that is given
    int m;
};

__device__ __forceinline__ float row_amax(const TokenArguments& args, long long row)
{
    Range range = row_range(args.x, row, args.k);
    return fmaxf(-range.low, range.high);
}

__device__ __forceinline__ float scale_of(const TokenArguments& args, float amax)
{
    return fmaxf(rounded<IN>(__fdiv_rn(amax, args.largest)), rounded<IN>(args.smallest));
}

#if CODES == 8

__device__ __forceinline__ u32 code_of(float x, float inverse, float largest)
{
    float steps = __fmul_rn(x, inverse);
#if ROUNDS
    steps = rounded<IN>(steps);
#endif
    return (u32)(int)fminf(fmaxf(rintf(steps), -largest), largest) & 0xFF;
}

#else

// Saturates: what is beyond the largest code takes it; NaN stays NaN.
__device__ __forceinline__ u32 code_of(float x, float inverse, float largest)
{
    return encode_float8<CODES == 80 ? 3 : 2>(__fmul_rn(x, inverse));
}

#endif

__device__ __forceinline__ void write_codes(const TokenArguments& args, long long row, float scale)
{
    float inverse = __fdiv_rn(1.0f, scale);
#if ROUNDS
    inverse = rounded<IN>(inverse);
#endif
    for (long long i = threadIdx.x; i < args.k / 8; i += THREADS)
    {
        long long index = row * (args.k / 8) + i;
        Eight x = load_eight<IN>(args.x, index);
        u32 codes[2] = {0, 0};
        for (int j = 0; j < 8; j++)
        {
            codes[j / 4] |= code_of(x.value[j], inverse, args.largest) << (8 * (j % 4));
        }

        ((uint2*)args.codes)[index] = make_uint2(codes[0], codes[1]);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) token_codes(const __grid_constant__ TokenArguments args)
{
    long long row = blockIdx.x;
    float scale = args.scale_kind == 2 ? args.scales[0]
        : scale_of(args, args.scale_kind == 1 ? __uint_as_float(*args.amax) : row_amax(args, row));
    if (args.scale_kind != 2 && threadIdx.x == 0 && (args.scale_kind == 0 || row == 0))
    {
        args.scales[row] = scale;
    }

    write_codes(args, row, scale);
}

// The largest magnitude of all tokens. Magnitudes are not negative, so their bits have their order.
extern "C" __global__ void __launch_bounds__(THREADS) token_amax(const __grid_constant__ TokenArguments args)
{
    float largest = 0;
    for (long long row = blockIdx.x; row < args.m; row += gridDim.x)
    {
        largest = fmaxf(largest, row_amax(args, row));
        __syncthreads();
    }

    if (threadIdx.x == 0)
    {
        atomicMax(args.amax, __float_as_uint(largest));
    }
}
