// Where the codes of a row go: eight at a time, in the order that dequantize.cu reads.
//
// Defines: LAYOUT and BITS of a code.
#pragma once

#include "quantize.cuh"

#define LAYOUT_BYTES 1      // a code a byte
#define LAYOUT_NIBBLES 2    // two a byte, the even one in the low half
#define LAYOUT_STREAM 3     // without gaps, the first code in the highest bits
#define LAYOUT_SHARDS 4     // eighths of a row by shards of 4, 2 and 1 bits, the lowest bits first

#define CODE_MASK ((1u << BITS) - 1)

#if LAYOUT == LAYOUT_BYTES

__device__ __forceinline__ void store_codes(const QuantizeArguments& args, u8* row, int k0, const u32 (&codes)[8])
{
    if (args.row_bytes % 8 == 0)
    {
        u32 words[2] = {0, 0};
#pragma unroll
        for (int j = 0; j < 8; j++)
        {
            words[j / 4] |= (codes[j] & CODE_MASK) << (8 * (j % 4));
        }

        *(uint2*)(row + k0) = make_uint2(words[0], words[1]);
    }
    else
    {
        for (int j = 0; j < 8 && k0 + j < args.row_bytes; j++)
        {
            row[k0 + j] = (u8)(codes[j] & CODE_MASK);
        }
    }
}

#elif LAYOUT == LAYOUT_NIBBLES

__device__ __forceinline__ void store_codes(const QuantizeArguments& args, u8* row, int k0, const u32 (&codes)[8])
{
    u32 word = 0;
#pragma unroll
    for (int j = 0; j < 8; j++)
    {
        word |= (codes[j] & CODE_MASK) << (4 * j);
    }

    if (args.row_bytes % 4 == 0)
    {
        *(u32*)(row + k0 / 2) = word;
    }
    else
    {
        for (int i = 0; i < 4 && k0 / 2 + i < args.row_bytes; i++)
        {
            row[k0 / 2 + i] = (u8)(word >> (8 * i));
        }
    }
}

#elif LAYOUT == LAYOUT_STREAM

__device__ __forceinline__ void store_codes(const QuantizeArguments& args, u8* row, int k0, const u32 (&codes)[8])
{
    // Eight codes are BITS whole bytes.
    u64 bits = 0;
#pragma unroll
    for (int j = 0; j < 8; j++)
    {
        bits = (bits << BITS) | (codes[j] & CODE_MASK);
    }

    int first = k0 / 8 * BITS;
#pragma unroll
    for (int i = 0; i < BITS; i++)
    {
        if (first + i < args.row_bytes)
        {
            row[first + i] = (u8)(bits >> (8 * (BITS - 1 - i)));
        }
    }
}

#else

// Codes i, i + eighth, i + 2 * eighth and so on of a row: each byte of a shard that one of them is in has fields of these alone.
template <int WIDTH, int SHIFT>
__device__ __forceinline__ void store_shard(u8*& shard, int eighth, int i, const u32 (&codes)[8])
{
#pragma unroll
    for (int j = 0; j < WIDTH; j++)
    {
        u32 byte = 0;
#pragma unroll
        for (int field = 0; field < 8 / WIDTH; field++)
        {
            byte |= ((codes[j + field * WIDTH] >> SHIFT) & ((1u << WIDTH) - 1)) << (field * WIDTH);
        }

        shard[i + j * eighth] = (u8)byte;
    }

    shard += eighth * WIDTH;
}

__device__ __forceinline__ void store_codes(u8* row, int eighth, int i, const u32 (&codes)[8])
{
    u8* shard = row;
#if BITS & 4
    store_shard<4, 0>(shard, eighth, i, codes);
#endif
#if BITS & 2
    store_shard<2, BITS & 4>(shard, eighth, i, codes);
#endif
#if BITS & 1
    store_shard<1, BITS & 6>(shard, eighth, i, codes);
#endif
}

#endif
