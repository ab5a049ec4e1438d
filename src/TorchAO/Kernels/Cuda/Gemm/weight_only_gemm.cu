// y = x W^T + b with 16-bit activations and quantized weights, decoded on their way into the matrix units (Hopper, sm_90a).
//
// Formula: y[m, n] = token_scale[m] * sum over k of x[m, k] * v[n, k] + b[n], where v is the stored weight's value rounded once to the type
// of x. Sums are in float32. (Dequantize rounds a product before it adds a zero point that is a value; here that is one step.)
// Shapes: x [m, k] bf16 or f16, weight [n, k] in the stored order, scale [n, k / group], y [m, n].
// Reads: each tile of the weight once for TOKENS tokens; x once for 128 weight rows. Bound: weights at few tokens, matrix units at many.
// Launch: grid (n / 128 * m / TOKENS, 1, splits), 288 threads (384 with 256 tokens), a cluster of (1, 1, splits).
// Reference: the format's Dequantize and a product.
//
// Defines: those of gemm_tile.cuh; ACT TYPE_BF16 or TYPE_F16; WEIGHT 4 (two codes a byte, the even one low), 8 (int8) or 80 (e4m3fn);
// SCALE the number of the scales' type; SUBGROUPS 1, 2 or 4 scales in 64 ks; ZERO 0 none, 1 values in the type of the scales,
// 2 codes in bytes, 3 codes in int32.
// Architectures: sm_90a
// Variant: -DTOKENS=64 -DSTAGES=4 -DOUT=1 -DACT=1 -DWEIGHT=4 -DSCALE=1 -DSUBGROUPS=1 -DZERO=1
// Variant: -DTOKENS=32 -DSTAGES=6 -DOUT=3 -DACT=1 -DWEIGHT=4 -DSCALE=1 -DSUBGROUPS=2 -DZERO=2
// Variant: -DTOKENS=256 -DSTAGES=3 -DOUT=2 -DACT=2 -DWEIGHT=4 -DSCALE=3 -DSUBGROUPS=4 -DZERO=3
// Variant: -DTOKENS=128 -DSTAGES=8 -DOUT=1 -DACT=1 -DWEIGHT=8 -DSCALE=3 -DSUBGROUPS=2 -DZERO=0
// Variant: -DTOKENS=128 -DSTAGES=8 -DOUT=2 -DACT=2 -DWEIGHT=80 -DSCALE=1 -DSUBGROUPS=1 -DZERO=0
#include "gemm_tile.cuh"

#define STEP_K 64
#define STAGE_STEPS (WEIGHT == 4 ? 2 : 1)       // the copy engine is slow with rows of less than 64 bytes
#define WEIGHT_ROW 64                           // bytes in a stage, swizzled over as many, so that eight rows lie in different banks
#define WEIGHT_STAGE (TILE_ROWS * WEIGHT_ROW)

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

__device__ __forceinline__ u32 subtract(u32 a, u32 b)
{
    u32 d;
#if ACT == TYPE_BF16
    asm("sub.rn.bf16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
#else
    asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
#endif
    return d;
}

__device__ __forceinline__ u32 multiply(u32 a, u32 b)
{
    u32 d;
#if ACT == TYPE_BF16
    asm("mul.rn.bf16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
#else
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
#endif
    return d;
}

#define PACKED_SCALE (SCALE == ACT) // scale and zero point as pairs of the type of x; one float otherwise

// Scales and zero points of a thread's two rows for the ks of one stage.
struct Parameters
{
    u32 scale[2][SUBGROUPS];
    u32 zero[2][SUBGROUPS]; // added to the product (ZERO 1), subtracted from the code otherwise

    // Loads what a group of steps needs; past the end of a row, its last.
    __device__ __forceinline__ void load(const GemmArguments& args, const int (&first)[2], int group, int groups)
    {
#pragma unroll
        for (int r = 0; r < 2; r++)
        {
#pragma unroll
            for (int g = 0; g < SUBGROUPS; g++)
            {
                int index = first[r] + min(group + g, groups - 1);
                scale[r][g] = pair(args.scale, index);
#if ZERO == 1
                zero[r][g] = pair(args.zero, index);
#elif ZERO == 2
                zero[r][g] = ((const u8*)args.zero)[index];
#elif ZERO == 3
                zero[r][g] = ((const int*)args.zero)[index];
#endif
            }
        }
    }

    // The stored bits; what they become is computed when they are used, a stage later, so that nothing waits for them here.
    static __device__ __forceinline__ u32 pair(const void* values, int index)
    {
#if SCALE == TYPE_F32
        return ((const u32*)values)[index];
#else
        return ((const u16*)values)[index];
#endif
    }

    static __device__ __forceinline__ u32 twice(u32 bits) { return bits | (bits << 16); }

    static __device__ __forceinline__ float wide(u32 bits)
    {
#if SCALE == TYPE_F32
        return __uint_as_float(bits);
#else
        return Number<SCALE>::widen((u16)bits);
#endif
    }
};

// The value of two codes, given as two numbers of the type of x that are exact.
__device__ __forceinline__ u32 scaled(u32 codes, u32 scale, u32 zero)
{
#if PACKED_SCALE && ZERO == 1
    return fma_pair<ACT>(codes, Parameters::twice(scale), Parameters::twice(zero));
#elif PACKED_SCALE
    return multiply(codes, Parameters::twice(scale));
#else
    float factor = Parameters::wide(scale), offset = ZERO == 1 ? Parameters::wide(zero) : 0.0f;
    return pack_pair<ACT>(__fmaf_rn(low_of<ACT>(codes), factor, offset), __fmaf_rn(high_of<ACT>(codes), factor, offset));
#endif
}

#if WEIGHT == 4

// Codes in the lowest bits of a large number: 128 + code in bfloat16, 1024 + code in float16.
#define MAGIC (ACT == TYPE_BF16 ? 0x43004300u : 0x64006400u)

// The two codes of a byte in the low bits of two halves: a product moves the second one there, because the units that multiply
// integers have less to do here than those for bits.
__device__ __forceinline__ u32 two_codes(u32 byte, u32 origin)
{
    u32 codes, mask = 0x000F000Fu, magic = MAGIC;
    asm("lop3.b32 %0, %1, %2, %3, 0xEA;" : "=r"(codes) : "r"(byte * 0x1001u), "r"(mask), "r"(magic)); // and, or
    return subtract(codes, origin);
}

__device__ __forceinline__ u32 load_byte(u32 address)
{
    u32 byte;
    asm volatile("ld.shared.u8 %0, [%1];" : "=r"(byte) : "r"(address));
    return byte;
}

// The thread's share of a 64 x 64 tile of weights as four operands of 64 x 16.
__device__ __forceinline__ void decode(u32 (&a)[4][4], u32 tile, int row, int half, const Parameters& parameters)
{
#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        u32 swizzle = ((row + r * 8) >> 1) & 3, address = tile + (row + r * 8) * WEIGHT_ROW + ((half * 2) ^ swizzle) * 16 + threadIdx.x % 4;
#pragma unroll
        for (int i = 0; i < 4; i++)
        {
            int g = i * SUBGROUPS / 4;
#if ZERO >= 2
            u32 origin = Parameters::twice((MAGIC & 0xFFFFu) + parameters.zero[r][g]);
#else
            const u32 origin = MAGIC + 0x00080008u;
#endif
            u32 piece = (i < 2 ? address : address ^ 16) + (i % 2) * 8; // 16 bytes are two operands
            a[i][r] = scaled(two_codes(load_byte(piece), origin), parameters.scale[r][g], parameters.zero[r][g]);
            a[i][r + 2] = scaled(two_codes(load_byte(piece + 4), origin), parameters.scale[r][g], parameters.zero[r][g]);
        }
    }
}

#else

// Two codes of a byte as two numbers of the type of x: every int8 and every e4m3fn is one, of both types.
__device__ __forceinline__ u32 two_codes(u32 bytes)
{
#if WEIGHT == 8
#if ACT == TYPE_F16
    // 1024 + (code + 128), less 1152.
    u32 biased = (bytes ^ 0x8080u), wide = __byte_perm(biased, 0x64646464u, 0x4140);
    return subtract(wide, 0x64806480u);
#else
    // As floats 2^23 + (code + 128).
    u32 biased = bytes ^ 0x8080u;
    float low = __uint_as_float(__byte_perm(biased, 0x4B000000u, 0x7440)) - 8388736.0f;
    float high = __uint_as_float(__byte_perm(biased, 0x4B000000u, 0x7441)) - 8388736.0f;
    return __byte_perm(__float_as_uint(low), __float_as_uint(high), 0x7632);
#endif
#else
    u32 halves;
    asm("{ .reg .b16 c; cvt.u16.u32 c, %1; cvt.rn.f16x2.e4m3x2 %0, c; }" : "=r"(halves) : "r"(bytes));
#if ACT == TYPE_F16
    return halves;
#else
    return __byte_perm(__float_as_uint(low_of<TYPE_F16>(halves)), __float_as_uint(high_of<TYPE_F16>(halves)), 0x7632);
#endif
#endif
}

__device__ __forceinline__ u32 load_pair(u32 address)
{
    u16 pair;
    asm volatile("ld.shared.u16 %0, [%1];" : "=h"(pair) : "r"(address));
    return pair;
}

__device__ __forceinline__ void decode(u32 (&a)[4][4], u32 tile, int row, int half, const Parameters& parameters)
{
#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        u32 address = tile + (row + r * 8) * WEIGHT_ROW + (threadIdx.x % 4) * 2, swizzle = ((row + r * 8) >> 1) & 3;
#pragma unroll
        for (int i = 0; i < 4; i++)
        {
            int g = i * SUBGROUPS / 4;
            a[i][r] = scaled(two_codes(load_pair(address + ((i ^ swizzle) << 4))), parameters.scale[r][g], parameters.zero[r][g]);
            a[i][r + 2] = scaled(two_codes(load_pair(address + ((i ^ swizzle) << 4) + 8)), parameters.scale[r][g], parameters.zero[r][g]);
        }
    }
}

#endif

__device__ __forceinline__ void multiply_step(float (&d)[PARTS][COLUMNS / 2], const u32 (&a)[4][4], u32 x, int accumulate)
{
    u64 first = tile_descriptor(x);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
#pragma unroll
        for (int part = 0; part < PARTS; part++)
        {
            u64 b = first + (part * (COLUMNS * X_ROW) + i * 32) / 16;
#if ACT == TYPE_BF16
            Wgmma<COLUMNS>::bf16(d[part], a[i], b, i > 0 ? 1 : accumulate);
#else
            Wgmma<COLUMNS>::f16(d[part], a[i], b, i > 0 ? 1 : accumulate);
#endif
        }
    }

    wgmma_commit();
}

typedef Ring<STAGE_STEPS, WEIGHT_STAGE> WeightRing;

// Weights of the next step: waits for its stage, decodes, and asks for the parameters of the step after.
struct Decoder
{
    const GemmArguments& args;
    const WeightRing& ring;
    Parameters parameters;
    int first[2]; // scales before the two rows; a weight has less than 2^31
    int row, group, groups, steps_left, steps_a_group;
    Turn turn;

    __device__ __forceinline__ Decoder(const GemmArguments& args, const WeightRing& ring, const Steps& steps, int row0) : args(args), ring(ring)
    {
        row = (threadIdx.x / 32) * 16 + (threadIdx.x % 32) / 4;
        first[0] = min(row0 + row, args.n - 1) * args.scale_stride;
        first[1] = min(row0 + row + 8, args.n - 1) * args.scale_stride;
        groups = (args.k + args.group - 1) / args.group;
        steps_a_group = SUBGROUPS > 1 ? 1 : args.group / STEP_K;
        group = SUBGROUPS > 1 ? steps.first * SUBGROUPS : steps.first / steps_a_group;
        steps_left = steps_a_group - steps.first % steps_a_group;
        parameters.load(args, first, group, groups);
    }

    // HALF 1 is the second step of a stage that has two.
    template <int HALF> __device__ __forceinline__ void next(u32 (&a)[4][4])
    {
        if (HALF == 0)
        {
            barrier_wait(ring.full(turn.stage), turn.parity);
        }

        decode(a, ring.weight(turn.stage), row, HALF, parameters);
        if (HALF == STAGE_STEPS - 1)
        {
            turn.next();
        }

        if (--steps_left == 0)
        {
            steps_left = steps_a_group;
            group += SUBGROUPS;
            parameters.load(args, first, group, groups);
        }
    }
};

__device__ __forceinline__ void consume(const GemmArguments& args, const WeightRing& ring, const Steps& steps, float (&d)[PARTS][COLUMNS / 2], int row0)
{
    u32 even[4][4], odd[4][4];
    Decoder decoder(args, ring, steps, row0);
    Turn turn;
    const int second = STAGE_STEPS - 1; // whether the odd step is the second of a stage
    decoder.next<0>(even);
    multiply_step(d, even, ring.x(0), 0);
    decoder.next<second>(odd);
    for (int step = 0; step < steps.count; step += 2)
    {
        // The matrix units always have a step to do while the weights of the one after are decoded: a step is given to them before
        // the one before it has ended, and its operands are overwritten when it has.
        Turn even_turn = turn;
        if (STAGE_STEPS == 1)
        {
            turn.next();
        }

        multiply_step(d, odd, ring.x(turn.stage) + second * X_TILE, 1);
        wgmma_wait<1>();
        if (STAGE_STEPS == 1)
        {
            ring.release(even_turn.stage);
        }

        Turn odd_turn = turn;
        turn.next();
        decoder.next<0>(even);
        multiply_step(d, even, ring.x(turn.stage), 1);
        wgmma_wait<1>();
        ring.release(odd_turn.stage);
        decoder.next<second>(odd);
    }

    wgmma_wait<0>();
}

#endif

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_A_PROCESSOR) weight_only_gemm(const __grid_constant__ GemmArguments args)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ u8 memory[];
    WeightRing ring(memory);
    ring.init();
    Place place(args);
    Steps steps(args, STEP_K);
    if (threadIdx.x >= CONSUMERS)
    {
        move_registers(false);
        // Steps in pairs, so that the loop over two has no branch inside, and one pair ahead; what is beyond the end is zeros.
        int stages = ((steps.count + 1) / 2 + 1) * (2 / STAGE_STEPS);
        produce(args, ring, steps, place, stages, STEP_K, WEIGHT_ROW / STAGE_STEPS);
        meet_cluster(args);
        meet_cluster(args);
    }
    else
    {
        move_registers(true);
        float d[PARTS][COLUMNS / 2];
        consume(args, ring, steps, d, place.row0);
        finish(args, ring.sums(), d, nullptr, TYPE_F32, place);
    }
#endif
}
