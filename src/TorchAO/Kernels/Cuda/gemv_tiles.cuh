// Tiles of products of few rows: tensor core products of decoded codes, scales, and what becomes of the sums. Options are those of gemv.cu.
#pragma once
#include "gemv_inputs.cuh"
#include "gemv_scales.cuh"

// A result's share of the weight's own numbers, asked for before its sum is known.
struct Ending
{
    RowPlace place;
    float scale, bias;

    __device__ __forceinline__ void load(const GemvArguments& a, int tile, int r)
    {
        place = place_of(a, tile, r);
        const GemvSegment& segment = *place.segment;
        scale = !Grouped && CODE != CODE_HALF ? load_number<SCALE>(segment.scale, (long long)place.row * segment.scale_step) : 1;
        bias = segment.bias == nullptr ? 0 : load_number<ACT>(segment.bias, place.row);
    }
};

// What a thread needs for its result of a tile.
struct TileEnding
{
    Ending first, second; // the second of a gated pair
    float before;         // what results are added to

    __device__ __forceinline__ void load(const GemvArguments& a, int tile, int m, int result)
    {
        if (a.epilogue == EPILOGUE_GATE)
        {
            const int r = (result >> 3) * 16 + (result & 7);
            first.load(a, tile, r);
            second.load(a, tile, r + 8);
            return;
        }

        first.load(a, tile, result);
        before = a.epilogue == EPILOGUE_ADD ? load_fresh<ACT>(first.place.segment->y, m * a.y_stride + first.place.row) : 0;
    }

    __device__ __forceinline__ void store(const GemvArguments& a, const float* partial, float norm, int m, int result) const
    {
        auto finished = [&](const Ending& ending, int r) {
            float value = 0;
#pragma unroll
            for (int w = 0; w < WARPS; w++)
            {
                value += partial[(w * Rows + r) * Columns + m];
            }

            return value * ending.scale * norm + ending.bias;
        };
        if (!first.place.exists)
        {
            return;
        }

        const long long at = m * a.y_stride + first.place.row;
        if (a.epilogue == EPILOGUE_GATE)
        {
            const int r = (result >> 3) * 16 + (result & 7);
            const float gate = finished(first, r), up = finished(second, r + 8);
            store_number<ACT>(a.segments[0].y, at, gate / (1 + __expf(-gate)) * up);
            return;
        }

        const float value = finished(first, result) + before;
        if (a.out == TYPE_F32)
        {
            store_number<TYPE_F32>(first.place.segment->y, at, value);
        }
        else
        {
            store_number<ACT>(first.place.segment->y, at, value);
        }
    }
};

// A warp's product of a chunk of a tile, added to its sums. Scales of a group, or of a run of one activation row, are applied here.
__device__ __forceinline__ void multiply_chunk(
    const GemvArguments& a, const u8* from, const u8* scales, const GemvRooms& rooms, int groups, int runs, int tile, int chunk,
    float (&sums)[TILES][4])
{
    const int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
    const u16* const x_row = rooms.xs + (SINGLE ? 0 : (g < a.m ? g : 0) * a.x_pitch) + t * LaneK;
    const float* const sums0 = rooms.xsums + (SINGLE || 2 * t >= a.m ? 0 : 2 * t) * runs;
    const float* const sums1 = rooms.xsums + (SINGLE || 2 * t + 1 >= a.m ? 0 : 2 * t + 1) * runs;
    float group_sum0 = 0, group_sum1 = 0;
#pragma unroll
    for (int span = 0; span < Runs / Span; span++)
    {
        float products[TILES][2][4] = {};
#pragma unroll
        for (int segment = 0; segment < Span / Steps; segment++)
        {
            // Column i of the activations holds run i and zeros elsewhere, or all columns hold a row each.
            const int first = span * Span * 32 + segment * SegmentK;
            const u16* x = x_row + chunk * ChunkK + first;
            if (ByRun && g != (segment * SegmentK + t * LaneK) / 32)
            {
                x = rooms.zeros;
            }

            LaneCodes upper[TILES], lower[TILES];
#pragma unroll
            for (int i = 0; i < TILES; i++)
            {
                const u8* const of_lane = from + (i * 16 + g) * Pitch + (first * Bits / 8 ^ (g & 1) * OddFlip) + t * LaneBytes;
                upper[i].load(of_lane);
                lower[i].load(of_lane + 8 * Pitch);
            }

#pragma unroll
            for (int step = 0; step < Steps; step++)
            {
                const int run = span * Span + segment * Steps + step;
                const uint4 b = *(const uint4*)(x + step * 8);
                if (!ByRun && NeedsSums)
                {
                    group_sum0 += sums0[chunk * Runs + run];
                    group_sum1 += sums1[chunk * Runs + run];
                }

                const bool is_group_end = Grouped && !ByRun && ((run + 1) % GroupRuns == 0 || run + 1 == Runs);
#pragma unroll
                for (int i = 0; i < TILES; i++)
                {
                    u32 u[4], l[4];
                    upper[i].decode(step, u);
                    lower[i].decode(step, l);
                    float(&c)[2][4] = products[i];
                    multiply_tile<ACT>(c[0], u[0], l[0], u[2], l[2], b.x, b.y);
                    multiply_tile<ACT>(c[1], u[1], l[1], u[3], l[3], b.z, b.w);
                    if (is_group_end)
                    {
                        scale_group(a, groups, scales, tile, chunk, run, i, c, group_sum0, group_sum1, sums[i]);
                    }
                }

                if (is_group_end)
                {
                    group_sum0 = group_sum1 = 0;
                }
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
                    sums[i][j] += restored(c[0][j], c[1][j]);
                }
            }
            else if (ByRun && (Span == 8 || 2 * t < Span))
            {
                scale_runs(a, groups, scales, tile, chunk, span, i, c, rooms.xsums, sums[i]);
            }
        }
    }
}

__device__ __forceinline__ int results_of_tile(const GemvArguments& a) { return a.epilogue == EPILOGUE_GATE ? Rows / 2 : Rows; }

// Multiplies tiles from one on, every gridDim.x-th, out of stages that a stream keeps filling. Where the warps' sums of a tile meet, and
// what becomes of them, is the sink's. All warps that compute.
template <class Stream, class Sink>
__device__ __forceinline__ void multiply_tiles(
    const GemvArguments& a, Stream& stream, Sink& sink, const GemvRooms& rooms, int chunks, int runs, int first_tile)
{
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
    const int groups = Grouped ? a.k / (Grouped ? GROUP : 1) : 1;
    for (int tile = first_tile; tile < a.tiles; tile += gridDim.x)
    {
        sink.prepare(a, tile);
        float sums[TILES][4] = {};
        for (int chunk = warp; chunk - (Stream::IsShared ? warp : 0) < chunks; chunk += WARPS)
        {
            const u8* const stage = stream.acquire();
            if (chunk < chunks)
            {
                multiply_chunk(a, stage + (Stream::IsShared ? warp * ROW : 0),
                    stage + Rows * Pitch + (Stream::IsShared ? warp * ScaleRowBytes : 0), rooms, groups, runs, tile, chunk, sums);
            }

            stream.release();
        }

        if (!Grouped && Middle != 0)
        {
            // Each warp knows the sum of the activations that it multiplied.
            const float total0 = Middle * rooms.totals[(SINGLE || 2 * t >= a.m ? 0 : 2 * t) * WARPS + warp];
            const float total1 = Middle * rooms.totals[(SINGLE || 2 * t + 1 >= a.m ? 0 : 2 * t + 1) * WARPS + warp];
#pragma unroll
            for (int i = 0; i < TILES; i++)
            {
                sums[i][0] -= total0, sums[i][1] -= total1, sums[i][2] -= total0, sums[i][3] -= total1;
            }
        }

        float* const partial = sink.reserve();
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

        sink.publish(a, tile, partial);
    }
}
