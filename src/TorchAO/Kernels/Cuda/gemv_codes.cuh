// Codes of weights as pairs of 16-bit numbers, exactly, for tensor cores. Needs ACT, CODE and ROW.
#pragma once
#include "torchao.cuh"

#define CODE_HALF 0
#define CODE_INT8 1
#define CODE_INT4 2
#define CODE_E4M3 3
#define CODE_E5M2 4

constexpr int Bits = CODE == CODE_HALF ? 16 : CODE == CODE_INT4 ? 4 : 8;

// Bytes from row to row in shared memory: keeps the eight rows of one load in different banks.
constexpr int Pitch = ROW + (Bits == 16 ? 64 : Bits == 8 ? 32 : 16);

// The code that stands for 0, where codes are unsigned; and what a code that keeps its offset is larger by.
constexpr int Middle = CODE == CODE_INT4 ? 8 : 0;
constexpr int Lifted = CODE == CODE_INT4 ? (ACT == TYPE_BF16 ? 136 : 1032) : 0;

constexpr u32 MinusZero = 0x80008000u;

// Eight consecutive codes of a row, those of lane t in a run of 32, as four pairs of numbers, in the order of order_of().
// Folded: each number is larger by Lifted.
template <bool Folded>
__device__ __forceinline__ void decode(const u8* row, int run, int t, u32 (&out)[4])
{
#if CODE == CODE_HALF
    const uint4 in = *(const uint4*)(row + run * 64 + t * 16);
    out[0] = in.x, out[1] = in.y, out[2] = in.z, out[3] = in.w;
#elif CODE == CODE_INT4
    const u32 word = *(const u32*)(row + run * 16 + t * 4);
#if ACT == TYPE_BF16
    constexpr u32 Magic = 0x43004300u, One = 0x3F803F80u, Offset = 0xC308C308u; // 128 + code, its last bit worth 1; -136
#else
    constexpr u32 Magic = 0x64006400u, One = 0x3C003C00u, Offset = 0xE408E408u; // 1024 + code; -1032
#endif
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
        const u32 lifted = and_or(word >> (4 * i), 0x000F000Fu, Magic);
        out[i] = Folded ? lifted : fma_pair<ACT>(lifted, One, Offset);
    }
#else
    const uint2 in = *(const uint2*)(row + run * 32 + t * 8);
    const u32 words[2] = {in.x, in.y};
#pragma unroll
    for (int i = 0; i < 2; i++)
    {
        const u32 word = words[i];
#if CODE == CODE_INT8 && ACT == TYPE_BF16
        // 128 plus the low seven bits, less 128 plus 128 times the sign bit: both are one bit operation away.
        constexpr u32 Magic = 0x43004300u, MinusOne = 0xBF80BF80u;
        out[2 * i] = fma_pair<ACT>(and_or(word, 0x00800080u, Magic), MinusOne, and_or(word, 0x007F007Fu, Magic));
        const u32 odd = word >> 8;
        out[2 * i + 1] = fma_pair<ACT>(and_or(odd, 0x00800080u, Magic), MinusOne, and_or(odd, 0x007F007Fu, Magic));
#elif CODE == CODE_INT8
        constexpr u32 Magic = 0x64006400u, One = 0x3C003C00u, Offset = 0xE480E480u; // 1024 + u - 1152
        const u32 lifted = word ^ 0x80808080u;
        out[2 * i] = fma_pair<ACT>(and_or(lifted, 0x00FF00FFu, Magic), One, Offset);
        out[2 * i + 1] = fma_pair<ACT>(and_or(lifted >> 8, 0x00FF00FFu, Magic), One, Offset);
#else
        // Sign to the top, exponent and fraction behind it, then a power of two for the difference of the biases.
#if ACT == TYPE_BF16
        constexpr int Down = CODE == CODE_E4M3 ? 4 : 3;
        constexpr u32 Body = CODE == CODE_E4M3 ? 0x07F007F0u : 0x0FE00FE0u;
        constexpr u32 Power = CODE == CODE_E4M3 ? 0x7B807B80u : 0x77807780u; // 2^120, 2^112
#else
        constexpr int Down = CODE == CODE_E4M3 ? 1 : 0;
        constexpr u32 Body = CODE == CODE_E4M3 ? 0x3F803F80u : 0x7F007F00u;
        constexpr u32 Power = CODE == CODE_E4M3 ? 0x5C005C00u : 0x3C003C00u; // 2^8, 1
#endif
        const u32 even = word << 8;
        out[2 * i] = fma_pair<ACT>(and_or(even, MinusZero, (even >> Down) & Body), Power, MinusZero);
        out[2 * i + 1] = fma_pair<ACT>(and_or(word, MinusZero, (word >> Down) & Body), Power, MinusZero);
#endif
    }
#endif
}

// Which of eight consecutive activations stands at a place, so that pairs meet the pairs that decode makes.
__device__ __forceinline__ constexpr int order_of(int place)
{
#if CODE == CODE_HALF
    return place;
#elif CODE == CODE_INT4
    return (place >> 1) + 4 * (place & 1); // 0 4 1 5 2 6 3 7
#else
    return (place & 4) + ((place >> 1) & 1) + 2 * (place & 1); // 0 2 1 3, 4 6 5 7
#endif
}
