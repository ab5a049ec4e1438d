// What the parts of quantize.cu share: its struct, and the numbers of a row.
//
// Defines: IN the number of the weight's type; SCALE that of the scales' type.
#pragma once

#include "numbers.cuh"

#define THREADS 256
#define E8M0 4              // the type of scales that are exponents; others are those of torchao.cuh
#define ZERO_NONE 0
#define ZERO_VALUE 1
#define ZERO_BYTE 2
#define ZERO_INT32 3

// What the tensor arithmetic computes codes in: where two types meet, float32.
#define WORK (SCALE == IN ? IN : TYPE_F32)

struct QuantizeArguments
{
    const void* x;
    u8* codes;
    void* scale;             // written, or read where it is given
    void* zero;
    u32* state;              // bits of the largest magnitude of all; then not 0 where a value is infinite or NaN
    int n, k;
    int row_bytes;
    int group;               // ks that share a scale
    int groups;              // of a row
    int group_shift;         // the logarithm of the group, or -1
    int team;                // threads that find the range of a group: a power of two up to 32
    int scale_stride;        // scales from a row to the next; 0 where all share one that is given
    int is_aligned;          // eight numbers, a multiple of eight from a row's first, are one piece of 16 or 32 bytes, and of one group
    int choice;              // how a scale follows from a group
    int scaling;             // how an exponent does
    int zero_kind;
    int preserves_zero;      // a group's range has zero in it
    float divisor;
    float smallest;          // scale
    float choice_least, choice_most; // codes, by which scale and zero point are chosen
    float middle;            // code, whose value a zero point is; 0 where codes are signed
    float least, most;       // codes, or values before they are rounded
    int max_exponent;        // of the values of codes
    float table[16];
};

struct Params { float a, b; };

__device__ __forceinline__ int group_of(const QuantizeArguments& args, int k)
{
    return args.group_shift >= 0 ? k >> args.group_shift : k / args.group;
}

// Numbers k0 to k0 + 7 of a row, zeros behind its end.
__device__ __forceinline__ Eight load_row(const QuantizeArguments& args, int row, int k0)
{
    long long first = (long long)row * args.k + k0;
    if (args.is_aligned)
    {
        return load_eight<IN>(args.x, first / 8);
    }

    Eight eight;
    for (int j = 0; j < 8; j++)
    {
        eight.value[j] = k0 + j < args.k ? load_number<IN>(args.x, first + j) : 0.0f;
    }

    return eight;
}
