// The activations of gemv.cu on their way into shared memory. Options are those of gemv.cu.
#pragma once
#include "gemv_copies.cuh"

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
