// The values of a stored weight, in one pass: v[n, k] = value(code[n, k]) * scale[n, k / group] (+ zero point), rounded to the type asked for.
//
// Formula: exactly that of the formats' Dequantize, bit for bit: the product of a code's value and its scale in float32, rounded once to
// the type of the result; a zero point that is a value is added to the rounded product, and the sum is rounded again.
// Shapes: codes [n, row_bytes], scale and zero [n, k / group], v [n, k] bf16, f16 or f32.
// Reads: every byte once; writes every value once. Bound: memory, mostly the writes.
// Launch: a block of 128 threads a row; each thread takes eight ks at a time. Reference: the format's Dequantize.
//
// Defines: OUT the number of the result's type; BITS of a code; LAYOUT and VALUE as below.
// Variant: -DOUT=1 -DBITS=4 -DLAYOUT=2 -DVALUE=2
// Variant: -DOUT=3 -DBITS=8 -DLAYOUT=1 -DVALUE=1
// Variant: -DOUT=2 -DBITS=7 -DLAYOUT=4 -DVALUE=2
// Variant: -DOUT=1 -DBITS=6 -DLAYOUT=3 -DVALUE=3
// Variant: -DOUT=1 -DBITS=5 -DLAYOUT=3 -DVALUE=4
// Variant: -DOUT=1 -DBITS=8 -DLAYOUT=1 -DVALUE=5
// Variant: -DOUT=1 -DBITS=8 -DLAYOUT=1 -DVALUE=6
#include "torchao.cuh"

#define LAYOUT_BYTES 1      // a code a byte
#define LAYOUT_NIBBLES 2    // two a byte, the even one in the low half
#define LAYOUT_STREAM 3     // without gaps, the first code in the highest bits
#define LAYOUT_SHARDS 4     // eighths of a row by shards of 4, 2 and 1 bits, the lowest bits first

#define VALUE_SIGNED 1      // the code as int8
#define VALUE_UNSIGNED 2    // the code less its middle, or less a zero point that is a code
#define VALUE_TABLE 3       // an entry of the table in the arguments
#define VALUE_CODEBOOK 4    // a run of entries of a table in memory
#define VALUE_E4M3 5
#define VALUE_E5M2 6

#define E8M0 4              // the type of scales that are exponents; others are those of torchao.cuh
#define ZERO_NONE 0
#define ZERO_VALUE 1
#define ZERO_BYTE 2
#define ZERO_INT32 3

#define THREADS 128         // a row of 4096 is four turns; more turns at once were measured and are slower
#define ENTRIES (1 << BITS)

struct DequantizeArguments
{
    const u8* codes;
    const void* scale;
    const void* zero;
    const float* codebook;   // [entries, entry_length], or null
    void* values;
    int n, k;
    int row_bytes;
    int group;               // ks that share a scale
    int scale_stride;        // scales from a row to the next; 0 where all share one
    int scale_type;
    int zero_kind;
    int zero_type;
    int entry_length;        // of the codebook
    int group_shift;         // the logarithm of the group, or -1
#if VALUE == VALUE_TABLE
    float table[ENTRIES];
#endif
};

#if VALUE == VALUE_CODEBOOK

// A code may stand for several ks, so that eight ks have one or more.
__device__ __forceinline__ void load_codes(const DequantizeArguments& args, const u8* row, int k0, u32 (&codes)[8])
{
    for (int j = 0; j < 8; j++)
    {
        int bit = min(k0 + j, args.k - 1) / args.entry_length * BITS;
        u32 bits = (u32)row[bit / 8] << 8 | row[min(bit / 8 + 1, args.row_bytes - 1)];
        codes[j] = (bits >> (16 - BITS - bit % 8)) & (ENTRIES - 1);
    }
}

#elif LAYOUT == LAYOUT_BYTES

__device__ __forceinline__ void load_codes(const DequantizeArguments& args, const u8* row, int k0, u32 (&codes)[8])
{
    if (args.row_bytes % 8 == 0)
    {
        uint2 bytes = *(const uint2*)(row + k0);
#pragma unroll
        for (int j = 0; j < 8; j++)
        {
            codes[j] = ((j < 4 ? bytes.x : bytes.y) >> (8 * (j % 4))) & 0xFF;
        }
    }
    else
    {
        for (int j = 0; j < 8; j++)
        {
            codes[j] = row[min(k0 + j, args.k - 1)];
        }
    }
}

#elif LAYOUT == LAYOUT_NIBBLES

__device__ __forceinline__ void load_codes(const DequantizeArguments& args, const u8* row, int k0, u32 (&codes)[8])
{
    u32 word = 0;
    if (args.row_bytes % 4 == 0)
    {
        word = *(const u32*)(row + k0 / 2);
    }
    else
    {
        for (int i = 0; i < 4; i++)
        {
            word |= (u32)row[min(k0 / 2 + i, args.row_bytes - 1)] << (8 * i);
        }
    }

#pragma unroll
    for (int j = 0; j < 8; j++)
    {
        codes[j] = (word >> (4 * j)) & 0xF;
    }
}

#elif LAYOUT == LAYOUT_STREAM

__device__ __forceinline__ void load_codes(const DequantizeArguments& args, const u8* row, int k0, u32 (&codes)[8])
{
    // Eight codes are BITS whole bytes.
    u64 bits = 0;
    int first = k0 / 8 * BITS;
    if (BITS % 4 == 0 && args.row_bytes % BITS == 0)
    {
#pragma unroll
        for (int i = 0; i < BITS / 4; i++)
        {
            bits = (bits << 32) | __byte_perm(((const u32*)(row + first))[i], 0, 0x0123);
        }
    }
    else
    {
#pragma unroll
        for (int i = 0; i < BITS; i++)
        {
            bits = (bits << 8) | row[min(first + i, args.row_bytes - 1)];
        }
    }

#pragma unroll
    for (int j = 0; j < 8; j++)
    {
        codes[j] = (u32)(bits >> (BITS * (7 - j))) & (ENTRIES - 1);
    }
}

#else

template <int WIDTH, int SHIFT>
__device__ __forceinline__ void add_shard(const u8*& shard, int eighth, int k0, u32 (&codes)[8])
{
    int slice = eighth * WIDTH;
    if (eighth % 8 == 0)
    {
        // The eight codes lie in one field of eight bytes in a row.
        int field = k0 / slice * WIDTH;
        uint2 bytes = *(const uint2*)(shard + k0 % slice);
#pragma unroll
        for (int j = 0; j < 8; j++)
        {
            u32 byte = (j < 4 ? bytes.x : bytes.y) >> (8 * (j % 4));
            codes[j] |= ((byte >> field) & ((1 << WIDTH) - 1)) << SHIFT;
        }
    }
    else
    {
        for (int j = 0; j < 8; j++)
        {
            int k = k0 + j; // the row is padded to whole eights
            codes[j] |= ((shard[k % slice] >> (k / slice * WIDTH)) & ((1 << WIDTH) - 1)) << SHIFT;
        }
    }

    shard += slice;
}

__device__ __forceinline__ void load_codes(const DequantizeArguments& args, const u8* row, int k0, u32 (&codes)[8])
{
    int eighth = args.row_bytes / BITS;
    const u8* shard = row;
    for (int j = 0; j < 8; j++)
    {
        codes[j] = 0;
    }

#if BITS & 4
    add_shard<4, 0>(shard, eighth, k0, codes);
#endif
#if BITS & 2
    add_shard<2, BITS & 4>(shard, eighth, k0, codes);
#endif
#if BITS & 1
    add_shard<1, BITS & 6>(shard, eighth, k0, codes);
#endif
}

#endif

__device__ __forceinline__ float load_scale(const DequantizeArguments& args, long long index)
{
    if (args.scale_type != E8M0)
    {
        return load_number(args.scale, index, args.scale_type);
    }

    u32 exponent = ((const u8*)args.scale)[index];
    return __uint_as_float(exponent == 0 ? 0x00400000u : exponent == 255 ? 0x7FC00000u : exponent << 23);
}

// What a code is multiplied by, what is subtracted from it before and what is added after.
struct Group { float scale, origin, offset; };

__device__ __forceinline__ Group load_group(const DequantizeArguments& args, int row, int k)
{
    long long index = (long long)row * args.scale_stride + (args.group_shift >= 0 ? k >> args.group_shift : k / args.group);
    Group group = {load_scale(args, index), (float)(ENTRIES / 2), 0.0f};
    if (args.zero_kind == ZERO_VALUE)
    {
        group.offset = load_number(args.zero, index, args.zero_type);
    }
    else if (args.zero_kind != ZERO_NONE)
    {
        group.origin = args.zero_kind == ZERO_BYTE ? (float)((const u8*)args.zero)[index] : (float)((const int*)args.zero)[index];
    }

    return group;
}

__device__ __forceinline__ float value_of(const DequantizeArguments& args, const float* table, u32 code, int k, const Group& group)
{
#if VALUE == VALUE_SIGNED
    return (float)(signed char)code;
#elif VALUE == VALUE_UNSIGNED
    return (float)code - group.origin;
#elif VALUE == VALUE_TABLE
    return table[code * 32];
#elif VALUE == VALUE_CODEBOOK
    return args.codebook[(long long)code * args.entry_length + k % args.entry_length];
#elif VALUE == VALUE_E4M3
    return decode_e4m3(code);
#else
    return decode_e5m2(code);
#endif
}

__device__ __forceinline__ void write(
    const DequantizeArguments& args, const float* table, int row, int k0, const u32 (&codes)[8], const Group& shared)
{
    typedef Number<OUT> Out;
    Group group = shared;
    struct alignas(16) Values { typename Out::Stored value[8]; } values;
#pragma unroll
    for (int j = 0; j < 8; j++)
    {
        if (args.group % 8 != 0)
        {
            group = load_group(args, row, min(k0 + j, args.k - 1));
        }

        typename Out::Stored product = Out::narrow(__fmul_rn(value_of(args, table, codes[j], k0 + j, group), group.scale));
        values.value[j] = args.zero_kind == ZERO_VALUE ? Out::narrow(__fadd_rn(Out::widen(product), group.offset)) : product;
    }

    typename Out::Stored* target = (typename Out::Stored*)args.values + (long long)row * args.k + k0;
    if (args.k % 8 == 0)
    {
        *(Values*)target = values;
    }
    else
    {
        for (int j = 0; j < 8 && k0 + j < args.k; j++)
        {
            target[j] = values.value[j];
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) dequantize(const __grid_constant__ DequantizeArguments args)
{
    const float* table = nullptr;
#if VALUE == VALUE_TABLE
    // A copy of the table for each lane, so that look-ups never meet in a bank.
    __shared__ float copies[ENTRIES * 32];
    for (int i = threadIdx.x; i < ENTRIES * 32; i += THREADS)
    {
        copies[i] = args.table[i / 32];
    }

    __syncthreads();
    table = copies + threadIdx.x % 32;
#endif
    int row = blockIdx.x;
    const u8* bytes = args.codes + (long long)row * args.row_bytes;
    for (int k0 = threadIdx.x * 8; k0 < args.k; k0 += THREADS * 8)
    {
        u32 codes[8];
        load_codes(args, bytes, k0, codes);
        write(args, table, row, k0, codes, load_group(args, row, k0));
    }
}
