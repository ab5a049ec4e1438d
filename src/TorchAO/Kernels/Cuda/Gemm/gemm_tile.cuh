// What the matrix products of Hopper share: y[m, n] = sum over k of x[m, k] w[n, k], computed as the transposed product
// D[n, m] in tiles of 128 weight rows by TOKENS activation rows.
//
// A block is two warpgroups and a warp. That one lets the copy engine bring tiles of x and w into a ring of stages in shared memory
// (full and empty barriers a stage); the warpgroups own 64 weight rows each and multiply. Blocks of a cluster share a tile of y and
// split k between them: their sums meet in the order of their ranks, so results do not depend on timing.
//
// A step is what 128 bytes of a row of x hold; a stage is one or two of them. (Two blocks that share tiles of x, each bringing half of
// it to both, were measured and are slower.)
//
// Defines: TOKENS 32, 64, 128 or 256; OUT the number of the type of y and bias; STAGES the length of the ring.
#pragma once

#include "wgmma.cuh"

#define TILE_ROWS 128
#define CONSUMERS 256
#define THREADS (CONSUMERS + (TOKENS == 256 ? 128 : 32)) // registers move between whole warpgroups, which the widest tile needs
#define BLOCKS_A_PROCESSOR (TOKENS <= 64 ? 2 : 1)
#define X_ROW 128                           // bytes of x a stage: what a swizzled row holds
#define X_TILE (TOKENS * X_ROW)
#define COLUMNS (TOKENS < 128 ? TOKENS : 128)
#define PARTS (TOKENS / COLUMNS)
#define SUM_PITCH (TILE_ROWS + 4)           // floats; the four keep 32 stores of a warp in 32 banks
#define BAND 8                              // tiles of tokens that are computed side by side, for the second level cache

struct GemmArguments
{
    TensorMap x_map;           // boxes of TOKENS rows of 128 bytes, swizzled
    TensorMap weight_map;      // boxes of 128 rows
    const void* scale;         // [n, groups]; a row's stride is 0 where all share one
    const void* zero;          // as scale, or null
    const float* token_scale;  // [m] with stride 0 or 1, or null
    const void* bias;          // [n], in the type of y, or null
    void* y;                   // [m, n]
    int m, n, k;
    int group;                 // ks that share a scale
    int scale_stride;          // scales from a row to the next
    int token_stride;          // 0 or 1
    int splits;                // blocks of a cluster that split k
    int row_tiles, token_tiles;
};

// The tile of a block. Blocks of a band of token tiles run side by side, so that the weights they read are the same.
struct Place
{
    int row0, token0;

    __device__ __forceinline__ explicit Place(const GemmArguments& args)
    {
        int index = blockIdx.x, band = index / (BAND * args.row_tiles), rest = index % (BAND * args.row_tiles);
        int height = min(BAND, args.token_tiles - band * BAND);
        row0 = rest / height * TILE_ROWS;
        token0 = (band * BAND + rest % height) * TOKENS;
    }
};

// The ring of stages and its barriers; offsets are from the first multiple of 1024 in dynamic shared memory.
template <int STAGE_STEPS, int WEIGHT_STAGE>
struct Ring
{
    u32 base;

    __device__ __forceinline__ explicit Ring(const void* memory) : base((shared_address(memory) + 1023) & ~1023u) {}
    __device__ __forceinline__ u32 full(int stage) const { return base + stage * 16; }
    __device__ __forceinline__ u32 empty(int stage) const { return base + stage * 16 + 8; }
    __device__ __forceinline__ u32 x(int stage) const { return base + 1024 + stage * (STAGE_STEPS * X_TILE); }
    __device__ __forceinline__ u32 weight(int stage) const { return x(STAGES) + stage * WEIGHT_STAGE; }
    __device__ __forceinline__ u32 sums() const { return base + 1024; }

    __device__ __forceinline__ void init() const
    {
        if (threadIdx.x == 0)
        {
            for (int stage = 0; stage < STAGES; stage++)
            {
                barrier_init(full(stage), 1);
                barrier_init(empty(stage), CONSUMERS / 32);
            }

            asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        }

        __syncthreads();
    }

    // What a warp of consumers says when it has read a stage.
    __device__ __forceinline__ void release(int stage) const
    {
        if (threadIdx.x % 32 == 0)
        {
            barrier_arrive(empty(stage));
        }
    }
};

// A place in the ring: stage and the parity of its barriers.
struct Turn
{
    int stage = 0;
    u32 parity = 0;

    __device__ __forceinline__ void next()
    {
        stage++;
        if (stage == STAGES)
        {
            stage = 0;
            parity ^= 1;
        }
    }
};

// The part of k that a block of a cluster multiplies, in steps of one stage.
struct Steps
{
    int first, count;

    __device__ __forceinline__ Steps(const GemmArguments& args, int step_k)
    {
        int all = (args.k + step_k - 1) / step_k, each = (all + args.splits - 1) / args.splits;
        first = args.splits == 1 ? 0 : (int)cluster_rank() * each;
        count = min(each, max(all - first, 0));
    }

    // The column of a step; steps past the end lie outside of x and are zeros.
    __device__ __forceinline__ int column(const GemmArguments& args, int step, int step_k) const
    {
        return step < count ? (first + step) * step_k : (args.k + step_k - 1) / step_k * step_k;
    }
};

// Gives a consumer of the widest tile the registers that the warps beside the copying one do not need.
__device__ __forceinline__ void move_registers(bool isConsumer)
{
#if TOKENS == 256
    if (isConsumer)
    {
        registers_up<232>();
    }
    else
    {
        registers_down<40>();
    }
#endif
}

// Lets the copy engine fill the ring; one warp, all lanes in step. A row of the weight has weight_step bytes a step.
template <int STAGE_STEPS, int WEIGHT_STAGE>
__device__ __forceinline__ void produce(
    const GemmArguments& args, const Ring<STAGE_STEPS, WEIGHT_STAGE>& ring, const Steps& steps, const Place& place, int stages, int step_k, int weight_step)
{
    Turn turn;
    for (int i = 0; i < stages && threadIdx.x < CONSUMERS + 32; i++)
    {
        barrier_wait(ring.empty(turn.stage), turn.parity ^ 1); // passes at once in the first round
        if (threadIdx.x % 32 == 0)
        {
            u32 full = ring.full(turn.stage);
            barrier_expect(full, STAGE_STEPS * X_TILE + WEIGHT_STAGE);
            for (int half = 0; half < STAGE_STEPS; half++)
            {
                int column = steps.column(args, i * STAGE_STEPS + half, step_k);
                copy_box(ring.x(turn.stage) + half * X_TILE, &args.x_map, column, place.token0, full);
            }

            copy_box(ring.weight(turn.stage), &args.weight_map, (steps.first + i * STAGE_STEPS) * weight_step, place.row0, full);
        }

        __syncwarp();
        turn.next();
    }
}

// Writes y from the sums that consumers hold: through shared memory, so that a warp writes 128 consecutive outputs of a token.
template <typename T>
__device__ __forceinline__ void write_tile(u32 sums, const T (&d)[PARTS][COLUMNS / 2])
{
    asm volatile("bar.sync 1, 256;" ::: "memory"); // both warpgroups have read the last stage, whose place the sums take
    int lane = threadIdx.x % 32, row = (threadIdx.x / 32) * 16 + lane / 4;
#pragma unroll
    for (int part = 0; part < PARTS; part++)
    {
#pragma unroll
        for (int i = 0; i < COLUMNS / 2; i++)
        {
            int token = part * COLUMNS + (i / 4) * 8 + (lane % 4) * 2 + (i & 1);
            u32 address = sums + (token * SUM_PITCH + row + (i & 2) * 4) * 4;
            asm volatile("st.shared.b32 [%0], %1;" ::"r"(address), "r"(*(const u32*)&d[part][i]) : "memory");
        }
    }
}

__device__ __forceinline__ float4 load_sums(const GemmArguments& args, u32 address, int block)
{
    if (args.splits > 1)
    {
        return load_from_block(address, block);
    }

    float4 sums;
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(sums.x), "=f"(sums.y), "=f"(sums.z), "=f"(sums.w) : "r"(address) : "memory");
    return sums;
}

// Adds the sums of the cluster's blocks in the order of their ranks, scales them, and writes this block's share of the tokens.
template <typename T>
__device__ __forceinline__ void reduce_tile(const GemmArguments& args, u32 sums, const void* row_scale, int scale_type, const Place& place)
{
    typedef Number<OUT> Out;
    int rank = args.splits == 1 ? 0 : (int)cluster_rank(), share = TOKENS / args.splits, row = (threadIdx.x % 32) * 4;
    float scale[4], bias[4];
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
        int n = min(place.row0 + row + i, args.n - 1);
        scale[i] = row_scale ? load_number(row_scale, (long long)n * args.scale_stride, scale_type) : 1.0f;
        bias[i] = args.bias ? Out::widen(((const typename Out::Stored*)args.bias)[n]) : 0.0f;
    }

#pragma unroll 2
    for (int t = rank * share + threadIdx.x / 32; t < (rank + 1) * share; t += CONSUMERS / 32)
    {
        int token = place.token0 + t;
        if (token >= args.m || place.row0 + row >= args.n)
        {
            continue;
        }

        T sum[4] = {0, 0, 0, 0};
        for (int block = 0; block < args.splits; block++)
        {
            float4 part = load_sums(args, sums + (t * SUM_PITCH + row) * 4, block);
            const T* parts = (const T*)&part;
#pragma unroll
            for (int i = 0; i < 4; i++)
            {
                sum[i] += parts[i];
            }
        }

        float token_scale = args.token_scale ? args.token_scale[(long long)token * args.token_stride] : 1.0f;
        typename Out::Stored* y = (typename Out::Stored*)args.y + (long long)token * args.n + place.row0 + row;
        struct alignas(4 * sizeof(typename Out::Stored)) Four { typename Out::Stored value[4]; } four;
#pragma unroll
        for (int i = 0; i < 4; i++)
        {
            four.value[i] = Out::narrow(__fmaf_rn((float)sum[i] * token_scale, scale[i], bias[i]));
        }

        if (args.n % 4 == 0)
        {
            *(Four*)y = four;
        }
        else
        {
            for (int i = 0; i < 4 && place.row0 + row + i < args.n; i++)
            {
                y[i] = four.value[i];
            }
        }
    }
}

// Blocks of a cluster wait for each other: twice, when all sums are there and when all have been read. No block ends while another
// may still reach into its shared memory.
__device__ __forceinline__ void meet_cluster(const GemmArguments& args)
{
    if (args.splits > 1)
    {
        cluster_sync();
    }
}

// What consumers do when they have multiplied everything.
template <typename T>
__device__ __forceinline__ void finish(
    const GemmArguments& args, u32 sums, const T (&d)[PARTS][COLUMNS / 2], const void* row_scale, int scale_type, const Place& place)
{
    write_tile(sums, d);
    asm volatile("bar.sync 1, 256;" ::: "memory");
    meet_cluster(args);
    reduce_tile<T>(args, sums, row_scale, scale_type, place);
    meet_cluster(args);
}
