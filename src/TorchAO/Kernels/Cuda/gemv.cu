// y[m, n] = epilogue(sum_k x[m, k] * w[n, k]) for up to eight rows of 16-bit activations and a weight in its stored order.
//
// A block walks over tiles of 16 (or 32) weight rows; its warps divide K among them. Each warp streams its share through shared
// memory by asynchronous copies that run ahead over tiles, decodes eight codes at a time to 16-bit numbers without rounding, and
// multiplies on tensor cores: the weight is the 16-row operand, activations are the eight columns, sums are float32. Scales
// multiply sums, not codes. Weights do not depend on the kernel before: their copies begin while it still runs.
//
// With one activation row and groups, the eight columns are eight runs of 32 features instead: column i holds the activations of
// run i and zeros elsewhere, so that one chunk leaves its sums run by run, and scales are applied once a chunk and not once a run.
//
// Compiled once for each combination of:
//   ACT        TYPE_BF16, TYPE_F16: type of activations
//   CODE       CODE_HALF, CODE_INT8, CODE_INT4, CODE_E4M3, CODE_E5M2
//   SCALE      TYPE_*: type of scales (and of zero points that are values)
//   GROUP      input features that share a scale, a power of two from 32 on, or K; 0 where a row has one and no zero point
//   ZERO       0 none; 1 values of the middle code; 2, 3 codes of the value 0, a byte or an int32 each (PIECE 0)
//   ROUND      ROUND_*: whether activations are rounded first, row by row
//   SINGLE     1: one activation row
//   WARPS, STAGES, TILES (of 16 rows), ROW (bytes that one row gives to one stage: 128 or 256)
//   PIECE      bytes of an aligned piece of a chunk's row of scales: 16, 8, 4; 0 where a chunk is no multiple of 4 bytes of them
// Variant: -DACT=1 -DCODE=0 -DSCALE=1 -DGROUP=0 -DZERO=0 -DROUND=0 -DSINGLE=1 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=1 -DSCALE=1 -DGROUP=0 -DZERO=0 -DROUND=1 -DSINGLE=1 -DROW=256 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=2 -DCODE=1 -DSCALE=3 -DGROUP=0 -DZERO=0 -DROUND=2 -DSINGLE=0 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=2 -DSCALE=3 -DGROUP=32 -DZERO=0 -DROUND=3 -DSINGLE=1 -DROW=256 -DPIECE=16 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=3 -DSCALE=3 -DGROUP=0 -DZERO=0 -DROUND=4 -DSINGLE=1 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=1 -DSCALE=1 -DGROUP=0 -DZERO=0 -DROUND=0 -DSINGLE=0 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=2 -DCODE=1 -DSCALE=2 -DGROUP=128 -DZERO=0 -DROUND=0 -DSINGLE=1 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=2 -DSCALE=1 -DGROUP=32 -DZERO=1 -DROUND=0 -DSINGLE=1 -DROW=256 -DPIECE=16 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=2 -DSCALE=1 -DGROUP=64 -DZERO=2 -DROUND=0 -DSINGLE=0 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=2 -DCODE=3 -DSCALE=3 -DGROUP=0 -DZERO=0 -DROUND=0 -DSINGLE=1 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=4 -DSCALE=1 -DGROUP=0 -DZERO=0 -DROUND=0 -DSINGLE=0 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
#include "gemv_copies.cuh"
#include "gemv_tiles.cuh"

// The warps' sums of a tile meet in shared memory, in two rooms in turn, so that one barrier a tile is enough.
struct BlockSink
{
    float* partials; // [2, WARPS, Rows, Columns]
    const GemvRooms& rooms;
    int parity = 0;
    TileEnding ending;

    __device__ __forceinline__ void prepare(const GemvArguments& a, int tile)
    {
        if (SINGLE && threadIdx.x < results_of_tile(a))
        {
            ending.load(a, tile, 0, threadIdx.x);
        }
    }

    __device__ __forceinline__ float* reserve()
    {
        parity ^= 1;
        return partials + parity * (WARPS * Rows * Columns);
    }

    __device__ __forceinline__ void publish(const GemvArguments& a, int tile, const float* partial)
    {
        const int results = results_of_tile(a);
        __syncthreads();
        if constexpr (SINGLE)
        {
            if (threadIdx.x < results)
            {
                ending.store(a, partial, norm_of(a, rooms, 0), 0, threadIdx.x);
            }
        }
        else
        {
            for (int index = threadIdx.x; index < results * a.m; index += WARPS * 32)
            {
                const int m = index / results, result = index % results;
                ending.load(a, tile, m, result);
                ending.store(a, partial, norm_of(a, rooms, m), m, result);
            }
        }
    }
};

extern "C" __global__ void __launch_bounds__(WARPS * 32) gemv(const __grid_constant__ GemvArguments a)
{
    extern __shared__ __align__(16) u8 memory[];
    const int chunks = (a.k + ChunkK - 1) / ChunkK, runs = chunks * Runs;

    // Shared memory: the warps' stages, two rooms for sums, then what the warps share.
    float* const partials = (float*)(memory + WARPS * STAGES * StageBytes);
    u8* const room = (u8*)(partials + 2 * WARPS * Rows * Columns);
    const GemvRooms rooms(room, a.m, a.x_pitch, runs);
    ProductStream stream(a, memory + (threadIdx.x >> 5) * (STAGES * StageBytes));
    admit_successor();
    ask_gains(a, chunks);
    GemvRooms::clear(room);
    await_predecessor();
    fill(a, rooms, chunks, runs);
    BlockSink sink = {partials, rooms};
    multiply_tiles(a, stream, sink, rooms, chunks, runs, blockIdx.x);
    await_copies<0>();
}
