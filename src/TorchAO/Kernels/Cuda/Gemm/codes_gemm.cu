// y = x W^T + b with both sides as codes of one byte, on the matrix units of Hopper (sm_90a).
//
// Formula: y[m, n] = token_scale[m] * scale[n] * sum over k of x[m, k] w[n, k] + b[n]; sums are exact in int32 for int8, float32 for e4m3fn.
// Shapes: x [m, k] codes, weight [n, k] codes, token_scale [m] or one, scale [n, 1] or one, y [m, n] bf16, f16 or f32.
// Reads: a tile of 128 x 128 weights for TOKENS tokens. Bound: matrix units.
// Launch: grid (n / 128 * m / TOKENS, 1, splits), 288 threads (384 with 256 tokens), a cluster of (1, 1, splits).
// Reference: the scheme's Quantize, products of codes in integers, and the scales.
//
// Defines: those of gemm_tile.cuh; CODES 8 (int8) or 80 (e4m3fn); SCALE the number of the type of the weight's scales.
// Architectures: sm_90a
// Variant: -DTOKENS=32 -DSTAGES=5 -DOUT=1 -DCODES=8 -DSCALE=1
// Variant: -DTOKENS=256 -DSTAGES=4 -DOUT=3 -DCODES=80 -DSCALE=3
#include "gemm_tile.cuh"

#define STEP_K 128
#define WEIGHT_STAGE (TILE_ROWS * STEP_K)

#if CODES == 8
typedef int Sum;
#else
typedef float Sum;
#endif

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

typedef Ring<1, WEIGHT_STAGE> CodesRing;

__device__ __forceinline__ void multiply_stage(Sum (&d)[PARTS][COLUMNS / 2], u32 weight, u32 x, int accumulate)
{
    u64 first_a = tile_descriptor(weight), first_b = tile_descriptor(x);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
        u64 a = first_a + i * 32 / 16;
#pragma unroll
        for (int part = 0; part < PARTS; part++)
        {
            u64 b = first_b + (part * (COLUMNS * X_ROW) + i * 32) / 16;
#if CODES == 8
            Wgmma<COLUMNS>::s8(d[part], a, b, i > 0 ? 1 : accumulate);
#else
            Wgmma<COLUMNS>::e4m3(d[part], a, b, i > 0 ? 1 : accumulate);
#endif
        }
    }

    wgmma_commit();
}

__device__ __forceinline__ void consume(const CodesRing& ring, int count, Sum (&d)[PARTS][COLUMNS / 2])
{
    u32 half = (threadIdx.x / 128) * (64 * STEP_K);
    Turn turn;
    barrier_wait(ring.full(0), 0);
    multiply_stage(d, ring.weight(0) + half, ring.x(0), 0);
    for (int step = 1; step < count; step++)
    {
        int before = turn.stage;
        turn.next();
        barrier_wait(ring.full(turn.stage), turn.parity);
        multiply_stage(d, ring.weight(turn.stage) + half, ring.x(turn.stage), 1);
        wgmma_wait<1>(); // one stage stays in flight; the one before has been read
        ring.release(before);
    }

    wgmma_wait<0>();
}

#endif

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_A_PROCESSOR) codes_gemm(const __grid_constant__ GemmArguments args)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ u8 memory[];
    CodesRing ring(memory);
    ring.init();
    Place place(args);
    Steps steps(args, STEP_K);
    int count = max(steps.count, 1); // the last block of a cluster may have no step: it multiplies zeros
    if (threadIdx.x >= CONSUMERS)
    {
        move_registers(false);
        produce(args, ring, steps, place, count, STEP_K, STEP_K);
        meet_cluster(args);
        meet_cluster(args);
    }
    else
    {
        move_registers(true);
        Sum d[PARTS][COLUMNS / 2];
        consume(ring, count, d);
        finish(args, ring.sums(), d, args.scale, SCALE, place);
    }
#endif
}
