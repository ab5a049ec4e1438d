// Codes of weights as pairs of 16-bit numbers, exactly, for tensor cores. Needs ACT, CODE, GROUP,
// SINGLE, WARPS and ROW.
#pragma once
#include "torchao.cuh"

#define CODE_HALF 0
#define CODE_INT8 1
#define CODE_INT4 2
#define CODE_E4M3 3
#define CODE_E5M2 4

constexpr int Bits = CODE == CODE_HALF ? 16 : CODE == CODE_INT4 ? 4 : 8;

// A lane reads sixteen bytes of a row at a time, of features that are neighbours. That puts 512 / Bits features, several groups perhaps,
// into the products of one row: where columns keep groups apart, or where a group is as large.
constexpr bool Grouped = GROUP != 0;
constexpr bool ByRun = SINGLE && Grouped; // columns are runs of 32 features
constexpr bool Wide = SINGLE || !Grouped || GROUP >= 512 / Bits;
constexpr int SegmentK = Wide ? 512 / Bits : 32; // features that four lanes read together
constexpr int LaneK = SegmentK / 4;
constexpr int LaneBytes = LaneK * Bits / 8;
constexpr int Steps = SegmentK / 32;

// A stage holds chunks of one warp, or those of all warps side by side.
#ifdef SHARED_STAGES
constexpr int StageRow = WARPS * ROW;
#else
constexpr int StageRow = ROW;
#endif

// Bytes from row to row in shared memory. The rows that one load looks at must lie in different banks: rows are a little longer than
// their codes, or rows of odd number exchange neighbouring pieces of 64 bytes.
#ifdef SHARED_STAGES
constexpr int OddFlip = 0;
#else
constexpr int OddFlip = LaneBytes == 16 ? 64 : 0;
#endif
constexpr int Pitch = StageRow + (OddFlip != 0 ? 0 : LaneBytes == 16 ? 64 : LaneBytes == 8 ? 32 : 16);

// Codes become 16-bit numbers by their place alone: small integers are subnormal numbers, evenly spaced, and the exponent of a float8
// number stays as small as its field is. What that leaves out is made good where sums are float32: Restore. bfloat16 numbers so small
// would take products out of float32's reach; there activations are made larger, InputLift.
constexpr bool IsSmall = ACT == TYPE_BF16 && CODE != CODE_HALF;
constexpr float InputLift = IsSmall ? 0x1p64f : 1.0f;
constexpr float InputLower = IsSmall ? 0x1p-64f : 1.0f;
constexpr float Restore = CODE == CODE_HALF ? 1.0f
    : CODE == CODE_INT4 || CODE == CODE_INT8 ? (ACT == TYPE_BF16 ? 0x1p69f : 0x1p24f)
    : CODE == CODE_E4M3 ? (ACT == TYPE_BF16 ? 0x1p56f : 0x1p8f)
    : ACT == TYPE_BF16 ? 0x1p48f : 1.0f;

// The pairs of odd number are larger by this.
constexpr float OddLift = CODE == CODE_INT4 ? 16.0f : 1.0f;

// The integer that stands for 0, which sums of activations take away.
constexpr int Middle = CODE == CODE_INT4 ? 8 : CODE == CODE_INT8 ? 128 : 0;

// A lane's codes of a row and a segment.
struct LaneCodes
{
    u32 words[LaneBytes / 4];

    __device__ __forceinline__ void load(const u8* from)
    {
        if constexpr (LaneBytes == 16)
        {
            const uint4 in = *(const uint4*)from;
            words[0] = in.x, words[1] = in.y, words[2] = in.z, words[3] = in.w;
        }
        else if constexpr (LaneBytes == 8)
        {
            const uint2 in = *(const uint2*)from;
            words[0] = in.x, words[1] = in.y;
        }
        else
        {
            words[0] = *(const u32*)from;
        }
    }

    // Eight consecutive codes as four pairs of numbers, in the order of order_of().
    __device__ __forceinline__ void decode(int step, u32 (&out)[4]) const
    {
#if CODE == CODE_HALF
        out[0] = words[4 * step], out[1] = words[4 * step + 1], out[2] = words[4 * step + 2], out[3] = words[4 * step + 3];
#elif CODE == CODE_INT4
        const u32 word = words[step], upper = word >> 8;
        out[0] = word & 0x000F000Fu, out[1] = word & 0x00F000F0u;
        out[2] = upper & 0x000F000Fu, out[3] = upper & 0x00F000F0u;
#else
#pragma unroll
        for (int i = 0; i < 2; i++)
        {
            const u32 word = words[2 * step + i];
#if CODE == CODE_INT8
            out[2 * i] = xor_and(word, 0x80808080u, 0x00FF00FFu);
            out[2 * i + 1] = xor_and(word >> 8, 0x80808080u, 0x00FF00FFu);
#else
            // Sign to the top, exponent and fraction behind it: up from the lower byte of each pair, by left shifts, which another pipe
            // than that of bit operations can do.
            constexpr u32 Sign = 0x80008000u;
#if ACT == TYPE_BF16
            constexpr int Up = CODE == CODE_E4M3 ? 4 : 5;
#else
            constexpr int Up = CODE == CODE_E4M3 ? 7 : 8;
#endif
            const u32 odd = word >> 8;
            out[2 * i] = and_or(word << 8, Sign, (word & 0x007F007Fu) << Up);
            out[2 * i + 1] = and_or(word, Sign, (odd & 0x007F007Fu) << Up);
#endif
        }
#endif
    }
};

// Which of eight consecutive activations stands at a place: pairs meet the pairs that decode makes, and those of one tensor core product
// are neighbours, pairs 0 and 2, then 1 and 3.
__device__ __forceinline__ constexpr int order_of(int place)
{
    const int pair = (place >> 1 & 1) * 2 + (place >> 2), odd = place & 1;
#if CODE == CODE_HALF
    return 2 * pair + odd;
#elif CODE == CODE_INT4
    return pair + 4 * odd; // 0 4, 1 5, 2 6, 3 7
#else
    return (pair & 2) * 2 + (pair & 1) + 2 * odd; // 0 2, 1 3, 4 6, 5 7
#endif
}
