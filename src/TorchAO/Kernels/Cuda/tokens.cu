// The ends of a decode step: rows of the embedding table in, the next token out. Token and position stay in device memory, so that a
// recorded step can be replayed for every token.
//
// Compiled for:
//   ACT     TYPE_BF16, TYPE_F16, TYPE_F32: type of hidden states
//   TABLE   0 numbers of type ACT; 1 int8, 2 int4 (low half first), 3 float8 e4m3, 4 float8 e5m2
//   SCALE   TYPE_* of the table's scales
//   ZERO    0 none; 1 values of the middle code; 2, 3 codes of the value 0, a byte or an int32 each
// Variant: -DACT=1 -DTABLE=0 -DSCALE=1 -DZERO=0
// Variant: -DACT=2 -DTABLE=1 -DSCALE=2 -DZERO=0
// Variant: -DACT=1 -DTABLE=2 -DSCALE=1 -DZERO=1
// Variant: -DACT=1 -DTABLE=2 -DSCALE=1 -DZERO=2
// Variant: -DACT=3 -DTABLE=3 -DSCALE=3 -DZERO=0
#include "torchao.cuh"

struct EmbedArguments
{
    const u8* codes; // [vocabulary, width]
    const void* scale;
    const void* zero;
    void* hidden; // [B, width]
    const int* tokens;
    int width;
    int group;
    int scale_stride; // 0 where all rows share one scale
    int reserved;
};

__device__ __forceinline__ float table_number(const EmbedArguments& a, long long row, int i)
{
#if TABLE == 0
    return load_number<ACT>(a.codes, row * a.width + i);
#else
    const long long group = row * a.scale_stride + i / a.group;
    const float scale = load_number<SCALE>(a.scale, group);
    float code;
#if TABLE == 1
    code = (float)((const signed char*)a.codes)[row * a.width + i];
#elif TABLE == 2
    const u8 byte = a.codes[row * ((a.width + 1) / 2) + i / 2];
    code = (float)(i % 2 ? byte >> 4 : byte & 15) - 8;
#else
    const u32 byte = a.codes[row * a.width + i];
    code = TABLE == 3 ? decode_e4m3(byte) : decode_e5m2(byte);
#endif
#if ZERO == 2
    return (code + 8 - (float)((const u8*)a.zero)[group]) * scale;
#elif ZERO == 3
    return (code + 8 - (float)((const int*)a.zero)[group]) * scale;
#else
    return code * scale + (ZERO ? load_number<SCALE>(a.zero, group) : 0.0f);
#endif
#endif
}

// Grid (parts of a row, B).
extern "C" __global__ void embed(const __grid_constant__ EmbedArguments a)
{
    admit_successor();
    await_predecessor();
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const long long token = a.tokens[blockIdx.y];
    if (i < a.width)
    {
        store_number<ACT>(a.hidden, (long long)blockIdx.y * a.width + i, table_number(a, token, i));
    }
}

struct PickArguments
{
    const float* logits; // [B, vocabulary]
    u64* best;           // [B], zeros, and zeros again afterwards
    u32* arrived;        // one, zero, and zero again afterwards
    int* tokens;         // [B]: the next input
    int* position;
    int* history; // [positions, B]: the token at each position
    u64 seed;
    float inverse_temperature; // 0 takes the likeliest token
    int vocabulary;
    int batch;
    int capacity;
};

// A number in (0, 1) that depends on nothing but its arguments (the mixing of SplitMix64, Steele et al. 2014).
__device__ __forceinline__ float uniform(u64 seed, u64 position, u64 index)
{
    u64 z = seed + 0x9E3779B97F4A7C15ull * (position * 0x100000001B3ull + index + 1);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    return ((u32)(z >> 40) + 0.5f) * 0x1p-24f;
}

constexpr u64 NotANumber = ~0ull; // above all keys: a score that is none shows as token -1 in the history

// Takes the likeliest token, or draws one (the largest of logits with Gumbel noise is a sample of their softmax). Grid (parts, B).
extern "C" __global__ void __launch_bounds__(256) pick(const __grid_constant__ PickArguments a)
{
    __shared__ u64 of_warps[8];
    __shared__ bool is_last;
    admit_successor();
    await_predecessor();
    const int b = blockIdx.y, position = *a.position;
    u64 best = 0;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < a.vocabulary; i += gridDim.x * 256)
    {
        float score = a.logits[(long long)b * a.vocabulary + i];
        if (a.inverse_temperature > 0)
        {
            score = score * a.inverse_temperature - __logf(-__logf(uniform(a.seed + b, position, i)));
        }

        // Floats in the order of integers; of equals the lower id is the larger key.
        const u32 bits = __float_as_uint(score);
        const u32 ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
        const u64 key = score == score ? (u64)ordered << 32 | (u32)~i : NotANumber;
        best = key > best ? key : best;
    }

#pragma unroll
    for (int distance = 16; distance > 0; distance >>= 1)
    {
        const u64 other = __shfl_xor_sync(0xFFFFFFFFu, best, distance);
        best = other > best ? other : best;
    }

    if ((threadIdx.x & 31) == 0)
    {
        of_warps[threadIdx.x >> 5] = best;
    }

    __syncthreads();
    if (threadIdx.x == 0)
    {
#pragma unroll
        for (int w = 1; w < 8; w++)
        {
            best = of_warps[w] > best ? of_warps[w] : best;
        }

        atomicMax(a.best + b, best);
        __threadfence();
        is_last = atomicAdd(a.arrived, 1u) == gridDim.x * gridDim.y - 1;
    }

    __syncthreads();
    if (!is_last)
    {
        return;
    }

    for (int row = threadIdx.x; row < a.batch; row += 256)
    {
        const u64 key = atomicExch(a.best + row, 0ull);
        const int token = key == NotANumber ? -1 : (int)~(u32)key;
        a.tokens[row] = token < 0 ? 0 : token;
        if (position + 1 < a.capacity)
        {
            a.history[(long long)(position + 1) * a.batch + row] = token;
        }
    }

    if (threadIdx.x == 0)
    {
        *a.position = position + 1;
        *a.arrived = 0;
        __threadfence_system(); // history may lie in the host's memory
    }
}
