// Rows of a cache of keys or values: eight numbers of a row at a time, and the row of a new token. Needs ACT, HEAD, CACHE,
// CACHE_SCALE, CACHE_GROUP.
#pragma once
#include "torchao.cuh"

// Keys or values of one layer, [B, KV, capacity, ...] each.
struct CacheSide
{
    void* codes;
    void* scale; // one a row (int8, float8) of type CACHE_SCALE, or a step a group (int4) of type ACT
    void* least; // a value a group (int4)
};

constexpr int RowBytesOfCache = CACHE == 0 ? HEAD * (ACT == TYPE_F32 ? 4 : 2) : CACHE == 3 ? HEAD / 2 : HEAD;
constexpr int GroupsOfRow = CACHE == 3 ? HEAD / CACHE_GROUP : 1;
constexpr float SmallestScale = 1e-5f;

// Eight neighbouring numbers of a row.
struct CacheVector
{
    u32 words[CACHE == 0 ? (ACT == TYPE_F32 ? 8 : 4) : CACHE == 3 ? 1 : 2];
    float scale, least;

    __device__ __forceinline__ void load(const CacheSide& side, long long row, int part)
    {
        constexpr int Bytes = RowBytesOfCache / (HEAD / 8);
        const u8* const from = (const u8*)side.codes + row * RowBytesOfCache + part * Bytes;
#if CACHE == 0
        constexpr int Loads = Bytes / 16;
#pragma unroll
        for (int i = 0; i < Loads; i++)
        {
            const uint4 in = ((const uint4*)from)[i];
            words[4 * i] = in.x, words[4 * i + 1] = in.y, words[4 * i + 2] = in.z, words[4 * i + 3] = in.w;
        }
#elif CACHE == 3
        words[0] = *(const u32*)from;
        const long long group = row * GroupsOfRow + part * 8 / CACHE_GROUP;
        scale = load_number<ACT>(side.scale, group);
        least = load_number<ACT>(side.least, group);
#else
        const uint2 in = *(const uint2*)from;
        words[0] = in.x, words[1] = in.y;
        scale = load_number<CACHE_SCALE>(side.scale, row);
#endif
    }

    __device__ __forceinline__ void decode(float (&out)[8]) const
    {
#pragma unroll
        for (int e = 0; e < 8; e++)
        {
#if CACHE == 0 && ACT == TYPE_F32
            out[e] = __uint_as_float(words[e]);
#elif CACHE == 0
            out[e] = e % 2 ? high_of<ACT>(words[e / 2]) : low_of<ACT>(words[e / 2]);
#elif CACHE == 1
            out[e] = rounded<ACT>((float)(signed char)(words[e / 4] >> (8 * (e % 4))) * scale);
#elif CACHE == 2
            // A cache holds no NaN, so that shifts and a power of two do what decode_e4m3 does.
            const u32 code = words[e / 4] >> (8 * (e % 4));
            const float number = __uint_as_float((code & 0x80) << 24 | (code & 0x7F) << 20) * 0x1p120f;
            out[e] = rounded<ACT>(number * scale);
#else
            // The first of two numbers is in the high half of a byte.
            const u32 code = words[0] >> (8 * (e / 2) + (e % 2 ? 0 : 4)) & 15;
            out[e] = rounded<ACT>((float)code * scale + least);
#endif
        }
    }
};

#if CACHE == 2
// To e4m3 as torch casts what is in its range: to nearest, ties to even.
__device__ __forceinline__ u32 float_to_e4m3(float value)
{
    const u32 bits = __float_as_uint(value), sign = bits >> 24 & 0x80;
    const float magnitude = fabsf(value);
    if (magnitude < 0x1p-6f)
    {
        return sign | (u32)__float2int_rn(magnitude * 512); // subnormal: steps of 2^-9
    }

    const u32 rest = bits & 0x7FFFFFFF, kept = (rest + 0x7FFFF + (rest >> 20 & 1)) >> 20;
    return sign | kept - (120 << 3);
}
#endif

// Stores the row of a new token; one warp.
__device__ __forceinline__ void write_row(const CacheSide& side, long long row, const float* numbers)
{
    const int lane = threadIdx.x & 31;
#if CACHE == 0
    for (int d = lane; d < HEAD; d += 32)
    {
        store_number<ACT>(side.codes, row * HEAD + d, numbers[d]);
    }
#elif CACHE == 3
    for (int group = 0; group < GroupsOfRow; group++)
    {
        float low = 3e38f, high = -3e38f;
        for (int d = lane; d < CACHE_GROUP; d += 32)
        {
            low = fminf(low, numbers[group * CACHE_GROUP + d]);
            high = fmaxf(high, numbers[group * CACHE_GROUP + d]);
        }

        low = least_of_warp(low), high = -least_of_warp(-high);
        const float step = rounded<ACT>(fmaxf((high - low) / 15, SmallestScale));
        for (int pair = lane; pair < CACHE_GROUP / 2; pair += 32)
        {
            u32 byte = 0;
#pragma unroll
            for (int i = 0; i < 2; i++)
            {
                const float code = rintf((numbers[group * CACHE_GROUP + 2 * pair + i] - low) / step);
                byte = byte << 4 | (u32)fminf(fmaxf(code, 0.0f), 15.0f);
            }

            ((u8*)side.codes)[row * RowBytesOfCache + group * CACHE_GROUP / 2 + pair] = (u8)byte;
        }

        if (lane == 0)
        {
            store_number<ACT>(side.scale, row * GroupsOfRow + group, step);
            store_number<ACT>(side.least, row * GroupsOfRow + group, low);
        }
    }
#else
    float largest = 0;
    for (int d = lane; d < HEAD; d += 32)
    {
        largest = fmaxf(largest, fabsf(numbers[d]));
    }

    largest = -least_of_warp(-largest);
#if CACHE == 1
    constexpr float Most = 127;
#else
    constexpr float Most = 448;
#endif
    const float scale = rounded<CACHE_SCALE>(fmaxf(largest / Most, SmallestScale));
    const float inverse = 1 / scale;
    for (int d = lane; d < HEAD; d += 32)
    {
#if CACHE == 1
        const float code = fminf(fmaxf(rintf(numbers[d] * inverse), -Most), Most);
        ((signed char*)side.codes)[row * HEAD + d] = (signed char)code;
#else
        ((u8*)side.codes)[row * HEAD + d] = (u8)float_to_e4m3(fminf(fmaxf(numbers[d] * inverse, -448.0f), 448.0f));
#endif
    }

    if (lane == 0)
    {
        store_number<CACHE_SCALE>(side.scale, row, scale);
    }
#endif
}
