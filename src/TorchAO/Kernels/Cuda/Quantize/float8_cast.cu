// Float8 codes of values, saturating: to the nearest with ties to even, or up or down by chance.
//
// Formula: FloatCodec.EncodeSaturating(x[i]), or FloatCodec.EncodeStochastic(x[i], CounterRandom(seed)[i]), bit for bit. NaN is 0x7F, without
// a sign, which a device loses where it widens float16.
// Shapes: x bf16, f16 or f32 and codes, count of each. Reads and writes: every byte once. Bound: memory; by chance, arithmetic.
// Launch: blocks of 256 threads, of which each takes eight values. Reference: FloatCodec on the CPU.
//
// Defines: IN the number of the type of x; MANTISSA 3 (e4m3fn) or 2 (e5m2); STOCHASTIC 0 or 1.
// Variant: -DIN=1 -DMANTISSA=3 -DSTOCHASTIC=1
// Variant: -DIN=2 -DMANTISSA=2 -DSTOCHASTIC=1
// Variant: -DIN=3 -DMANTISSA=3 -DSTOCHASTIC=0
#include "numbers.cuh"

#define THREADS 256

struct CastArguments
{
    const void* x;
    u8* codes;
    long long count;
    u64 seed;
    int is_aligned;          // x begins at a multiple of 16 bytes, codes at one of 8
};

#if STOCHASTIC

// Philox4x32-10, the seed as key; see CounterRandom.cs.
__device__ __forceinline__ uint4 random_bits(u64 seed, u64 counter)
{
    u32 a = (u32)counter, b = (u32)(counter >> 32), c = 0, d = 0, k0 = (u32)seed, k1 = (u32)(seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++)
    {
        u64 p0 = 0xD2511F53ull * a, p1 = 0xCD9E8D57ull * c;
        a = (u32)(p1 >> 32) ^ b ^ k0;
        b = (u32)p1;
        c = (u32)(p0 >> 32) ^ d ^ k1;
        d = (u32)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }

    return make_uint4(a, b, c, d);
}

__device__ __forceinline__ u32 code_of(float value, u32 random)
{
    const int bias = MANTISSA == 3 ? 7 : 15, dropped = 23 - MANTISSA;
    const u32 limit = MANTISSA == 3 ? 0x7E : 0x7B;
    u32 magnitude = __float_as_uint(value) & 0x7FFFFFFFu, code;
    if (magnitude < (u32)(128 - bias) << 23)
    {
        // A power of two times a number and the fraction of it are exact.
        float steps = __fmul_rn(__uint_as_float(magnitude), __uint_as_float((u32)(bias - 1 + MANTISSA + 127) << 23));
        float below = floorf(steps);
        code = (u32)below + ((double)random < (double)__fsub_rn(steps, below) * 4294967296.0 ? 1 : 0);
    }
    else
    {
        code = (magnitude + (random >> (32 - dropped)) - ((u32)(127 - bias) << 23)) >> dropped;
    }

    return magnitude > 0x7F800000u ? 0x7Fu : min(code, limit) | (__float_as_uint(value) >> 31) << 7;
}

#else

__device__ __forceinline__ u32 code_of(float value)
{
    return value != value ? 0x7Fu : encode_float8<MANTISSA>(value);
}

#endif

extern "C" __global__ void __launch_bounds__(THREADS) float8_cast(const __grid_constant__ CastArguments args)
{
    long long index = (long long)blockIdx.x * THREADS + threadIdx.x, first = index * 8;
    if (first >= args.count)
    {
        return;
    }

    bool is_whole = args.is_aligned && first + 8 <= args.count;
    Eight x;
    if (is_whole)
    {
        x = load_eight<IN>(args.x, index);
    }
    else
    {
        for (int j = 0; j < 8; j++)
        {
            x.value[j] = first + j < args.count ? load_number<IN>(args.x, first + j) : 0.0f;
        }
    }

#if STOCHASTIC
    uint4 low = random_bits(args.seed, (u64)index * 2), high = random_bits(args.seed, (u64)index * 2 + 1);
    u32 random[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#endif
    u32 words[2] = {0, 0};
#pragma unroll
    for (int j = 0; j < 8; j++)
    {
#if STOCHASTIC
        u32 code = code_of(x.value[j], random[j]);
#else
        u32 code = code_of(x.value[j]);
#endif
        words[j / 4] |= code << (8 * (j % 4));
    }

    if (is_whole)
    {
        ((uint2*)args.codes)[index] = make_uint2(words[0], words[1]);
    }
    else
    {
        for (int j = 0; j < 8 && first + j < args.count; j++)
        {
            args.codes[first + j] = (u8)(words[j / 4] >> (8 * (j % 4)));
        }
    }
}
