// Scales and zero points of products of few rows: what becomes of the sums of tensor core products. Options are those of gemv.cu.
#pragma once
#include "gemv_arguments.cuh"

// The sum of the products of even and odd pairs, in the codes' own unit.
__device__ __forceinline__ float restored(float even, float odd) { return fmaf(odd, Restore / OddLift, even * Restore); }

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

// The value of the middle code in a group, from global memory.
__device__ __forceinline__ float zero_of(const GemvSegment& segment, long long index, float scale)
{
#if ZERO == 2
    return (Middle - (float)((const u8*)segment.zero)[index]) * scale;
#elif ZERO == 3
    return (Middle - (float)((const int*)segment.zero)[index]) * scale;
#else
    return load_number<SCALE>(segment.zero, index);
#endif
}

// Where the scale (or zero point) of a row and of the group of a feature is in global memory.
__device__ __forceinline__ long long group_index(int groups, int row, int feature)
{
    const int group = feature / (Grouped ? GROUP : 1);
    return (long long)row * groups + (group < groups ? group : 0); // behind K activations are zero
}

// The end of a group, or of a chunk within one: products of eight activation rows times scales, and sums of activations times zero points.
__device__ __forceinline__ void scale_group(
    const GemvArguments& a, int groups, const u8* scales, int tile, int chunk, int run, int i, float (&c)[2][4],
    float group_sum0, float group_sum1, float (&sums)[4])
{
    const int g = (threadIdx.x & 31) >> 2;
#pragma unroll
    for (int half = 0; half < 2; half++)
    {
        float scale, zero = 0;
#if PIECE
        const u8* const of_row = scales + (i * 16 + half * 8 + g) * ScalePitch;
        scale = scale_at(of_row, run / GroupRuns);
        if (ZERO)
        {
            zero = scale_at(of_row + ScaleMatrix, run / GroupRuns);
        }
#else
        const RowPlace place = place_of(a, tile, i * 16 + half * 8 + g);
        const long long index = group_index(groups, place.row, chunk * ChunkK + run * 32);
        scale = load_number<SCALE>(place.segment->scale, index);
        if (ZERO)
        {
            zero = zero_of(*place.segment, index, scale);
        }
#endif
        sums[2 * half] += scale * restored(c[0][2 * half], c[1][2 * half]);
        sums[2 * half + 1] += scale * restored(c[0][2 * half + 1], c[1][2 * half + 1]);
        if (NeedsSums)
        {
            sums[2 * half] += (zero - Middle * scale) * group_sum0;
            sums[2 * half + 1] += (zero - Middle * scale) * group_sum1;
        }

        c[0][2 * half] = c[1][2 * half] = c[0][2 * half + 1] = c[1][2 * half + 1] = 0;
    }
}

// The end of eight runs of one activation row: column i of the products is run i.
__device__ __forceinline__ void scale_runs(
    const GemvArguments& a, int groups, const u8* scales, int tile, int chunk, int span, int i, const float (&c)[2][4],
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
        const u8* const of_row = scales + (i * 16 + half * 8 + g) * ScalePitch;
        scale = scale_pair(of_row, run / GroupRuns, (run + 1) / GroupRuns);
        if (ZERO)
        {
            zero = scale_pair(of_row + ScaleMatrix, run / GroupRuns, (run + 1) / GroupRuns);
        }
#else
        const RowPlace place = place_of(a, tile, i * 16 + half * 8 + g);
        const long long i0 = group_index(groups, place.row, chunk * ChunkK + run * 32);
        const long long i1 = group_index(groups, place.row, chunk * ChunkK + run * 32 + 32);
        scale = make_float2(load_number<SCALE>(place.segment->scale, i0), load_number<SCALE>(place.segment->scale, i1));
        if (ZERO)
        {
            zero = make_float2(zero_of(*place.segment, i0, scale.x), zero_of(*place.segment, i1, scale.y));
        }
#endif
        float sum = scale.x * restored(c[0][2 * half], c[1][2 * half]) + scale.y * restored(c[0][2 * half + 1], c[1][2 * half + 1]);
        if (NeedsSums)
        {
            sum += (zero.x - Middle * scale.x) * x.x + (zero.y - Middle * scale.y) * x.y;
        }

        sums[2 * half] += sum;
    }
}
