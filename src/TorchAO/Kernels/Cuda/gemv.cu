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
//   ZERO       0 none; 1 values of the middle code; 2 codes of the value 0, a byte each (PIECE 0)
//   OUT        TYPE_*: type of results that are stored (EPILOGUE 0); ACT otherwise
//   NORM       1: activations are divided by their root mean square and multiplied by a gain first
//   EPILOGUE   0 store; 1 add to what is there; 2 silu(gate) * up
//   SINGLE     1: one activation row
//   WARPS, STAGES, TILES (of 16 rows), ROW (bytes that one row gives to one stage: 128 or 256)
//   PIECE      bytes of an aligned piece of a chunk's row of scales: 16, 8, 4; 0 where a chunk is no multiple of 4 bytes of them
// Variant: -DACT=1 -DCODE=0 -DSCALE=1 -DGROUP=0 -DZERO=0 -DOUT=1 -DNORM=1 -DEPILOGUE=2 -DSINGLE=1 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=1 -DSCALE=1 -DGROUP=0 -DZERO=0 -DOUT=0 -DNORM=1 -DEPILOGUE=0 -DSINGLE=0 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=2 -DCODE=1 -DSCALE=2 -DGROUP=128 -DZERO=0 -DOUT=2 -DNORM=0 -DEPILOGUE=1 -DSINGLE=1 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=2 -DSCALE=1 -DGROUP=32 -DZERO=1 -DOUT=1 -DNORM=1 -DEPILOGUE=2 -DSINGLE=1 -DROW=256 -DPIECE=16 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=2 -DSCALE=1 -DGROUP=64 -DZERO=2 -DOUT=1 -DNORM=0 -DEPILOGUE=0 -DSINGLE=0 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=2 -DCODE=3 -DSCALE=0 -DGROUP=0 -DZERO=0 -DOUT=2 -DNORM=0 -DEPILOGUE=1 -DSINGLE=1 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=4 -DSCALE=1 -DGROUP=0 -DZERO=0 -DOUT=1 -DNORM=0 -DEPILOGUE=0 -DSINGLE=0 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
#include "device.cuh"
#include "gemv_codes.cuh"

struct GemvSegment
{
    const u8* codes;
    const void* scale;
    const void* zero;
    const void* bias;
    void* y;
    int n;
    int first_tile;
    int scale_step; // 0 where all rows share one scale
    int reserved;
};

struct GemvArguments
{
    GemvSegment segments[3];
    const void* x;
    const void* gain;
    long long x_stride;
    long long y_stride;
    int k;
    int m;
    int x_pitch; // 16-bit numbers from one activation row to the next in shared memory
    int tiles;
    float epsilon;
};

constexpr int ChunkK = ROW * 8 / Bits; // input features of a chunk
constexpr int Runs = ChunkK / 32;      // of 32 features in a chunk: two tensor core products each
constexpr int Span = Runs < 8 ? Runs : 8; // runs that have columns of their own at the same time
constexpr int Lanes = ROW / 16;        // that copy one row of a chunk
constexpr int RowsOfCopy = 32 / Lanes;
constexpr int Rows = 16 * TILES;
constexpr int ScaleBytes = SCALE == TYPE_F32 ? 4 : 2;
constexpr bool Grouped = GROUP != 0;
constexpr int GroupRuns = Grouped ? GROUP / 32 : 1;
constexpr int ChunkGroups = !Grouped ? 0 : GROUP >= ChunkK ? 1 : ChunkK / GROUP;
constexpr int ScaleRowBytes = PIECE == 0 ? 0 : ChunkGroups * ScaleBytes;
constexpr int ScaleMatrix = Rows * ScaleRowBytes;
constexpr int PiecesOfRow = PIECE == 0 ? 1 : ScaleRowBytes / (PIECE == 0 ? 1 : PIECE);
constexpr int Pieces = PIECE == 0 ? 0 : Rows * PiecesOfRow * (ZERO ? 2 : 1);
constexpr int PieceLoads = (Pieces + 31) / 32;
constexpr int StageBytes = Rows * Pitch + ScaleMatrix * (ZERO ? 2 : 1);
constexpr bool ByRun = SINGLE && Grouped;  // columns are runs of features
constexpr bool Folded = ByRun && Middle != 0; // codes keep their offset; sums of activations take it away
constexpr bool NeedsSums = ZERO || Folded;
constexpr int Columns = SINGLE ? 1 : 8;
constexpr int Vectors = ChunkK / 8;    // of eight activations in a chunk

// Where a weight row of a tile is; behind the last row the last row stands in, and its results are not stored.
struct RowPlace
{
    const GemvSegment* segment;
    int row;
    bool exists;
};

__device__ __forceinline__ RowPlace place_of(const GemvArguments& a, int tile, int r)
{
    RowPlace place;
#if EPILOGUE == 2
    // Eight rows of the gate and the same eight of the other factor, so that results that belong together stay together.
    place.segment = &a.segments[(r >> 3) & 1];
    place.row = (tile * TILES + (r >> 4)) * 8 + (r & 7);
#else
    place.segment = &a.segments[tile >= a.segments[2].first_tile ? 2 : tile >= a.segments[1].first_tile ? 1 : 0];
    place.row = (tile - place.segment->first_tile) * Rows + r;
#endif
    place.exists = place.row < place.segment->n;
    place.row = place.exists ? place.row : place.segment->n - 1;
    return place;
}

// A warp's asynchronous copies: chunk after chunk of tile after tile.
struct CopyStream
{
    const u8* codes[Rows / RowsOfCopy];
    const u8* scales[PieceLoads == 0 ? 1 : PieceLoads];
    long long row_bytes;
    int tile, chunk, chunks, groups;

    __device__ __forceinline__ void place(const GemvArguments& a)
    {
        const int lane = threadIdx.x & 31;
        chunk = threadIdx.x >> 5;
#pragma unroll
        for (int i = 0; i < Rows / RowsOfCopy; i++)
        {
            const RowPlace at = place_of(a, tile, i * RowsOfCopy + lane / Lanes);
            codes[i] = at.segment->codes + at.row * row_bytes + lane % Lanes * 16;
        }

#pragma unroll
        for (int i = 0; i < PieceLoads; i++)
        {
            const int piece = i * 32 + lane, r = piece / PiecesOfRow;
            const RowPlace at = place_of(a, tile, r % Rows);
            const void* base = r >= Rows ? at.segment->zero : at.segment->scale;
            scales[i] = (const u8*)base + ((long long)at.row * groups * ScaleBytes + piece % PiecesOfRow * (PIECE == 0 ? 1 : PIECE));
        }
    }

    // Begins the copies of the next chunk into a stage.
    __device__ __forceinline__ void next(const GemvArguments& a, u32 stage)
    {
        const int lane = threadIdx.x & 31;
        if (tile < a.tiles)
        {
            const bool exists = chunk * ROW + lane % Lanes * 16 < row_bytes;
            const long long offset = exists ? (long long)chunk * ROW : 0;
#pragma unroll
            for (int i = 0; i < Rows / RowsOfCopy; i++)
            {
                copy_async<16>(stage + (i * RowsOfCopy + lane / Lanes) * Pitch + lane % Lanes * 16, codes[i] + offset, exists);
            }

#pragma unroll
            for (int i = 0; i < PieceLoads; i++)
            {
                const int piece = i * 32 + lane;
                if (Pieces % 32 == 0 || piece < Pieces)
                {
                    const int group = chunk * ChunkGroups + piece % PiecesOfRow * (PIECE / ScaleBytes);
                    copy_async<PIECE == 0 ? 4 : PIECE>(
                        stage + Rows * Pitch + piece * PIECE, scales[i] + (group < groups ? chunk * ScaleRowBytes : 0), group < groups);
                }
            }

            chunk += WARPS;
            if (chunk >= chunks)
            {
                tile += gridDim.x;
                if (tile < a.tiles)
                {
                    place(a);
                }
            }
        }

        commit_copies();
    }
};

__device__ __forceinline__ float scale_at(const u8* base, int index)
{
    return load_number<SCALE>(base, index);
}

// Scales (or zero points) of columns 2t and 2t + 1: those of two groups, or twice that of one.
__device__ __forceinline__ float2 scale_pair(const u8* base, int first, int second)
{
    if (GroupRuns == 1 && ScaleBytes == 2)
    {
        const u32 pair = *(const u32*)(base + first * 2);
        return make_float2(low_of<SCALE>(pair), high_of<SCALE>(pair));
    }

    const float one = scale_at(base, first);
    return make_float2(one, first == second ? one : scale_at(base, second));
}

// A warp's own activations on their way into shared memory: those of its chunks, 128 vectors of eight at a time.
struct ActivationBatch
{
    uint4 values[4];

    __device__ __forceinline__ static int vector_of(int base, int i, int& chunk)
    {
        const int e = base + i * 32 + (threadIdx.x & 31);
        chunk = (threadIdx.x >> 5) + e / Vectors * WARPS;
        return chunk * ChunkK + e % Vectors * 8;
    }

    __device__ __forceinline__ void load(const void* from, int base, int k)
    {
#pragma unroll
        for (int i = 0; i < 4; i++)
        {
            int chunk;
            const int first = vector_of(base, i, chunk);
            values[i] = first < k ? *(const uint4*)((const u16*)from + first) : make_uint4(0, 0, 0, 0);
        }
    }
};

// Activations into shared memory, each warp those that it multiplies itself: multiplied by the gain, in the order of decoded codes,
// zeros behind K; their sums; their squares.
__device__ __forceinline__ void fill(
    const GemvArguments& a, ActivationBatch& gains, u16* xs, float* xsums, float* squares, int chunks, int runs)
{
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    const int vectors = warp < chunks ? (chunks - warp + WARPS - 1) / WARPS * Vectors : 0;
    for (int m = 0; m < (SINGLE ? 1 : a.m); m++)
    {
        float square = 0;
        for (int base = 0; base < vectors; base += 128)
        {
            ActivationBatch batch;
            batch.load((const u16*)a.x + m * a.x_stride, base, a.k);
#if NORM
            if (base + m > 0)
            {
                gains.load(a.gain, base, a.k);
            }
#endif
#pragma unroll
            for (int i = 0; i < 4; i++)
            {
                int chunk;
                const int first = ActivationBatch::vector_of(base, i, chunk);
                const u32 pairs[4] = {batch.values[i].x, batch.values[i].y, batch.values[i].z, batch.values[i].w};
                float values[8];
#pragma unroll
                for (int j = 0; j < 4; j++)
                {
                    values[2 * j] = low_of<ACT>(pairs[j]);
                    values[2 * j + 1] = high_of<ACT>(pairs[j]);
                }

#if NORM
                const u32 gain[4] = {gains.values[i].x, gains.values[i].y, gains.values[i].z, gains.values[i].w};
#pragma unroll
                for (int j = 0; j < 4; j++)
                {
                    square += values[2 * j] * values[2 * j] + values[2 * j + 1] * values[2 * j + 1];
                    values[2 * j] *= low_of<ACT>(gain[j]);
                    values[2 * j + 1] *= high_of<ACT>(gain[j]);
                }
#endif
                u32 out[4];
#pragma unroll
                for (int j = 0; j < 4; j++)
                {
                    out[j] = pack_pair<ACT>(values[order_of(2 * j)], values[order_of(2 * j + 1)]);
                }

                // The sum of what the tensor cores see, rounded as they see it; four lanes hold a run.
                float sum = 0;
                if (NeedsSums)
                {
#pragma unroll
                    for (int j = 0; j < 4; j++)
                    {
                        sum += low_of<ACT>(out[j]) + high_of<ACT>(out[j]);
                    }

                    sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 1);
                    sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 2);
                }

                if (chunk < chunks)
                {
                    *(uint4*)(xs + m * a.x_pitch + first) = make_uint4(out[0], out[1], out[2], out[3]);
                    if (NeedsSums && (lane & 3) == 0)
                    {
                        xsums[m * runs + first / 32] = sum;
                    }
                }
            }
        }

#if NORM
        square = sum_of_warp(square);
        if (lane == 0)
        {
            squares[m * WARPS + warp] = square;
        }
#endif
    }

    __syncwarp();
}

// The value of the middle code in a group, from global memory.
__device__ __forceinline__ float zero_of(const GemvSegment& segment, long long index, float scale)
{
#if ZERO == 2
    return (Middle - (float)((const u8*)segment.zero)[index]) * scale;
#else
    return load_number<SCALE>(segment.zero, index);
#endif
}

// Where the scale (or zero point) of a row and of the group of a feature is in global memory.
__device__ __forceinline__ long long group_index(const CopyStream& copies, int row, int feature)
{
    const int group = feature / (Grouped ? GROUP : 1);
    return (long long)row * copies.groups + (group < copies.groups ? group : 0); // behind K activations are zero
}

// The end of a group, or of a chunk within one: products of eight activation rows times scales, and sums of activations times zero points.
__device__ __forceinline__ void scale_group(
    const GemvArguments& a, const CopyStream& copies, const u8* from, int tile, int chunk, int run, int i, float (&c)[2][4],
    float group_sum0, float group_sum1, float (&sums)[4])
{
    const int g = (threadIdx.x & 31) >> 2;
#pragma unroll
    for (int half = 0; half < 2; half++)
    {
        float scale, zero = 0;
#if PIECE
        const u8* const scales = from + Rows * Pitch + (i * 16 + half * 8 + g) * ScaleRowBytes;
        scale = scale_at(scales, run / GroupRuns);
        if (ZERO)
        {
            zero = scale_at(scales + ScaleMatrix, run / GroupRuns);
        }
#else
        const RowPlace place = place_of(a, tile, i * 16 + half * 8 + g);
        const long long index = group_index(copies, place.row, chunk * ChunkK + run * 32);
        scale = load_number<SCALE>(place.segment->scale, index);
        if (ZERO)
        {
            zero = zero_of(*place.segment, index, scale);
        }
#endif
        sums[2 * half] += scale * (c[0][2 * half] + c[1][2 * half]);
        sums[2 * half + 1] += scale * (c[0][2 * half + 1] + c[1][2 * half + 1]);
        if (ZERO)
        {
            sums[2 * half] += zero * group_sum0;
            sums[2 * half + 1] += zero * group_sum1;
        }

        c[0][2 * half] = c[1][2 * half] = c[0][2 * half + 1] = c[1][2 * half + 1] = 0;
    }
}

// The end of eight runs of one activation row: column i of the products is run i.
__device__ __forceinline__ void scale_runs(
    const GemvArguments& a, const CopyStream& copies, const u8* from, int tile, int chunk, int span, int i, const float (&c)[2][4],
    const float* xsums, float (&sums)[4])
{
    const int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3, run = span * 8 + 2 * t;
    float2 x = make_float2(0, 0);
    if (NeedsSums)
    {
        x = *(const float2*)(xsums + chunk * Runs + run);
    }

#pragma unroll
    for (int half = 0; half < 2; half++)
    {
        float2 scale, zero = make_float2(0, 0);
#if PIECE
        const u8* const scales = from + Rows * Pitch + (i * 16 + half * 8 + g) * ScaleRowBytes;
        scale = scale_pair(scales, run / GroupRuns, (run + 1) / GroupRuns);
        if (ZERO)
        {
            zero = scale_pair(scales + ScaleMatrix, run / GroupRuns, (run + 1) / GroupRuns);
        }
#else
        const RowPlace place = place_of(a, tile, i * 16 + half * 8 + g);
        const long long i0 = group_index(copies, place.row, chunk * ChunkK + run * 32);
        const long long i1 = group_index(copies, place.row, chunk * ChunkK + run * 32 + 32);
        scale = make_float2(load_number<SCALE>(place.segment->scale, i0), load_number<SCALE>(place.segment->scale, i1));
        if (ZERO)
        {
            zero = make_float2(zero_of(*place.segment, i0, scale.x), zero_of(*place.segment, i1, scale.y));
        }
#endif
        float sum = scale.x * (c[0][2 * half] + c[1][2 * half]) + scale.y * (c[0][2 * half + 1] + c[1][2 * half + 1]);
        if (NeedsSums)
        {
            constexpr float Lift = Folded ? (float)Lifted : 0.0f;
            sum += (zero.x - Lift * scale.x) * x.x + (zero.y - Lift * scale.y) * x.y;
        }

        sums[2 * half] += sum;
    }
}

extern "C" __global__ void __launch_bounds__(WARPS * 32) gemv(const __grid_constant__ GemvArguments a)
{
    extern __shared__ __align__(16) u8 memory[];
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
    const int chunks = (a.k + ChunkK - 1) / ChunkK;
    const int runs = chunks * Runs;

    // Shared memory: the warps' stages, their sums twice, then activations, their sums over 32, partial sums of squares.
    u8* const stages = memory + warp * (STAGES * StageBytes);
    float* const partials = (float*)(memory + WARPS * STAGES * StageBytes);
    u16* const xs = (u16*)(partials + 2 * WARPS * Rows * Columns);
    float* const xsums = (float*)(xs + a.m * a.x_pitch);
    float* const squares = xsums + (NeedsSums ? a.m * runs : 0);

    CopyStream copies;
    copies.row_bytes = (long long)a.k * Bits / 8;
    copies.chunks = chunks;
    copies.groups = Grouped ? a.k / (Grouped ? GROUP : 1) : 1;
    copies.tile = warp < chunks ? blockIdx.x : a.tiles;
    if (copies.tile < a.tiles)
    {
        copies.place(a);
    }

    const u32 stages_at = shared_address(stages);
#pragma unroll
    for (int s = 0; s < STAGES; s++)
    {
        copies.next(a, stages_at + s * StageBytes);
    }

    admit_successor();
    ActivationBatch gains;
#if NORM
    gains.load(a.gain, 0, a.k);
#endif
    await_predecessor();
    fill(a, gains, xs, xsums, squares, chunks, runs);

    const u16* const x_row = xs + (SINGLE ? 0 : (g < a.m ? g : 0) * a.x_pitch) + t * 8;
    const float* const sums0 = xsums + (SINGLE || 2 * t >= a.m ? 0 : 2 * t) * runs;
    const float* const sums1 = xsums + (SINGLE || 2 * t + 1 >= a.m ? 0 : 2 * t + 1) * runs;
    int stage = 0, parity = 0;
    for (int tile = blockIdx.x; tile < a.tiles; tile += gridDim.x)
    {
        float sums[TILES][4] = {};
        for (int chunk = warp; chunk < chunks; chunk += WARPS)
        {
            await_copies<STAGES - 1>();
            __syncwarp();
            const u8* const from = stages + stage * StageBytes;
            float group_sum0 = 0, group_sum1 = 0;
#pragma unroll
            for (int span = 0; span < Runs / Span; span++)
            {
                float products[TILES][2][4] = {};
                uint4 own = make_uint4(0, 0, 0, 0);
                if (ByRun && (Span == 8 || g < Span))
                {
                    own = *(const uint4*)(xs + chunk * ChunkK + span * 256 + lane * 8);
                }

#pragma unroll
                for (int step = 0; step < Span; step++)
                {
                    const int run = span * 8 + step;
                    uint4 b;
                    if (ByRun)
                    {
                        const bool mine = g == step;
                        b = make_uint4(mine ? own.x : 0, mine ? own.y : 0, mine ? own.z : 0, mine ? own.w : 0);
                    }
                    else
                    {
                        b = *(const uint4*)(x_row + chunk * ChunkK + run * 32);
                    }

                    if (!ByRun && ZERO)
                    {
                        group_sum0 += sums0[chunk * Runs + run];
                        group_sum1 += sums1[chunk * Runs + run];
                    }

#pragma unroll
                    for (int i = 0; i < TILES; i++)
                    {
                        u32 upper[4], lower[4];
                        decode<Folded>(from + (i * 16 + g) * Pitch, run, t, upper);
                        decode<Folded>(from + (i * 16 + g + 8) * Pitch, run, t, lower);
                        float(&c)[2][4] = products[i];
                        multiply_tile<ACT>(c[0], upper[0], lower[0], upper[1], lower[1], b.x, b.y);
                        multiply_tile<ACT>(c[1], upper[2], lower[2], upper[3], lower[3], b.z, b.w);
                        if (Grouped && !ByRun && ((run + 1) % GroupRuns == 0 || step + 1 == Span))
                        {
                            scale_group(a, copies, from, tile, chunk, run, i, c, group_sum0, group_sum1, sums[i]);
                        }
                    }

                    if ((run + 1) % GroupRuns == 0 || step + 1 == Span)
                    {
                        group_sum0 = group_sum1 = 0;
                    }
                }

#pragma unroll
                for (int i = 0; i < TILES; i++)
                {
                    float(&c)[2][4] = products[i];
                    if (!Grouped)
                    {
#pragma unroll
                        for (int j = 0; j < 4; j++)
                        {
                            sums[i][j] += c[0][j] + c[1][j];
                        }
                    }
                    else if (ByRun && (Span == 8 || 2 * t < Span))
                    {
                        scale_runs(a, copies, from, tile, chunk, span, i, c, xsums, sums[i]);
                    }
                }
            }

            __syncwarp();
            copies.next(a, stages_at + stage * StageBytes);
            stage = stage + 1 == STAGES ? 0 : stage + 1;
        }

        // The warps' sums meet in shared memory; two rooms in turn, so that one barrier a tile is enough.
        float* const partial = partials + parity * (WARPS * Rows * Columns);
        parity ^= 1;
#pragma unroll
        for (int i = 0; i < TILES; i++)
        {
            if (SINGLE)
            {
                float upper = sums[i][0], lower = sums[i][2];
                if (ByRun)
                {
                    upper += __shfl_xor_sync(0xFFFFFFFFu, upper, 1);
                    lower += __shfl_xor_sync(0xFFFFFFFFu, lower, 1);
                    upper += __shfl_xor_sync(0xFFFFFFFFu, upper, 2);
                    lower += __shfl_xor_sync(0xFFFFFFFFu, lower, 2);
                }

                if (t == 0)
                {
                    partial[warp * Rows + i * 16 + g] = upper;
                    partial[warp * Rows + i * 16 + g + 8] = lower;
                }
            }
            else
            {
                float* const at = partial + (warp * Rows + i * 16 + g) * Columns + 2 * t;
                *(float2*)at = make_float2(sums[i][0], sums[i][1]);
                *(float2*)(at + 8 * Columns) = make_float2(sums[i][2], sums[i][3]);
            }
        }

        __syncthreads();
        constexpr int Results = EPILOGUE == 2 ? Rows / 2 : Rows;
        for (int index = threadIdx.x; index < Results * (SINGLE ? 1 : a.m); index += WARPS * 32)
        {
            const int m = index / Results, result = index % Results;
            float norm = 1;
#if NORM
            float square = 0;
#pragma unroll
            for (int w = 0; w < WARPS; w++)
            {
                square += squares[m * WARPS + w];
            }

            norm = rsqrtf(square / a.k + a.epsilon);
#endif
            auto finish = [&](const RowPlace& place, int r) {
                float value = 0;
#pragma unroll
                for (int w = 0; w < WARPS; w++)
                {
                    value += partial[(w * Rows + r) * Columns + m];
                }

                if (!Grouped && CODE != CODE_HALF)
                {
                    value *= load_number<SCALE>(place.segment->scale, (long long)place.row * place.segment->scale_step);
                }

                value *= norm;
                return place.segment->bias == nullptr ? value : value + load_number<ACT>(place.segment->bias, place.row);
            };
#if EPILOGUE == 2
            const int r = (result >> 3) * 16 + (result & 7);
            const RowPlace gate_place = place_of(a, tile, r), up_place = place_of(a, tile, r + 8);
            const float gate = finish(gate_place, r), up = finish(up_place, r + 8);
            if (gate_place.exists)
            {
                store_number<ACT>(a.segments[0].y, m * a.y_stride + gate_place.row, gate / (1 + __expf(-gate)) * up);
            }
#else
            const RowPlace place = place_of(a, tile, result);
            const float value = finish(place, result);
            if (place.exists)
            {
                void* const y = place.segment->y;
                const long long at = m * a.y_stride + place.row;
                store_number<EPILOGUE == 1 ? ACT : OUT>(y, at, EPILOGUE == 1 ? value + load_number<ACT>(y, at) : value);
            }
#endif
        }
    }

    await_copies<0>();
}
