// Activations of products of few rows on their way into shared memory. Options are those of gemv.cu.
#pragma once
#include "gemv_arguments.cuh"

// Where a block keeps what its warps share.
struct GemvRooms
{
    u16* xs;         // [m, x_pitch]
    float* xsums;    // [m, runs]: sums of 32 activations
    float* squares;  // [m, WARPS]: sums of the squares of each warp's activations
    float* totals;   // [m, WARPS]: their sums
    const u16* zeros;

    __device__ __forceinline__ GemvRooms(u8* memory, int m, int x_pitch, int runs)
    {
        zeros = (const u16*)memory;
        xs = (u16*)(memory + ZeroBytes);
        xsums = (float*)(xs + m * x_pitch);
        squares = xsums + (NeedsSums ? m * runs : 0);
        totals = squares + m * WARPS;
    }

    // Every warp writes the zeros that it reads.
    __device__ __forceinline__ static void clear(u8* memory)
    {
        const int lane = threadIdx.x & 31;
        if (lane < ZeroBytes / 16)
        {
            ((uint4*)memory)[lane] = make_uint4(0, 0, 0, 0);
        }

        __syncwarp();
    }
};

// Vectors of activations that a warp multiplies.
__device__ __forceinline__ int vectors_of_warp(int chunks)
{
    const int warp = threadIdx.x >> 5;
    return warp < chunks ? (chunks - warp + WARPS - 1) / WARPS * Vectors : 0;
}

// A warp's own activations: those of its chunks, some vectors of eight at a time.
struct ActivationBatch
{
    static constexpr int Loads = 6;
    static constexpr int Count = 32 * Loads;

    uint4 values[Loads];

    __device__ __forceinline__ static int vector_of(int base, int i, int& chunk)
    {
        const int e = base + i * 32 + (threadIdx.x & 31);
        chunk = (threadIdx.x >> 5) + e / Vectors * WARPS;
        return chunk * ChunkK + e % Vectors * 8;
    }

    // Calls with the number of each load that there is and the feature of its vector.
    template <class Body>
    __device__ __forceinline__ static void each(int base, int vectors, Body&& body)
    {
#pragma unroll
        for (int i = 0; i < Loads; i++)
        {
            if (base + i * 32 < vectors)
            {
                int chunk;
                body(i, vector_of(base, i, chunk));
            }
        }
    }
};

// Activations, gains and results as numbers without marks: what a launch reads, others have written before it.
struct PlainNumbers
{
    __device__ __forceinline__ static void load(ActivationBatch& batch, const void* from, int base, int vectors, int k)
    {
        ActivationBatch::each(base, vectors, [&](int i, int feature) {
            batch.values[i] = feature < k ? load_fresh((const uint4*)((const u16*)from + feature)) : make_uint4(0, 0, 0, 0);
        });
    }

    __device__ __forceinline__ void load_inputs(const GemvArguments& a, ActivationBatch& batch, int m, int base, int vectors) const
    {
        load(batch, (const u16*)a.x + m * a.x_stride, base, vectors, a.k);
    }

    __device__ __forceinline__ float load_before(const GemvArguments&, const GemvSegment& segment, long long at) const
    {
        return load_fresh<ACT>(segment.y, at);
    }

    __device__ __forceinline__ void store(void* y, long long at, float value) const { store_number<ACT>(y, at, value); }
};

// Asks for a warp's gains, which depend on no kernel before, so that they are near when activations come.
__device__ __forceinline__ void ask_gains(const GemvArguments& a, int chunks)
{
    const int vectors = a.gain == nullptr ? 0 : vectors_of_warp(chunks);
    for (int e = (threadIdx.x & 31) * 8; e < vectors; e += 256)
    {
        const int feature = ((threadIdx.x >> 5) + e / Vectors * WARPS) * ChunkK + e % Vectors * 8; // eight vectors are a line
        ask_ahead((const u16*)a.gain + (feature < a.k ? feature : 0));
    }
}

// The same, all gains by one warp.
__device__ __forceinline__ void ask_gain(const GemvArguments& a)
{
    for (int feature = (threadIdx.x & 31) * 64; a.gain != nullptr && feature < a.k; feature += 32 * 64)
    {
        ask_ahead((const u16*)a.gain + feature);
    }
}

// Activations into shared memory, each warp those that it multiplies itself: multiplied by the gain, in the order of decoded codes,
// zeros behind K; their sums; their squares.
template <class Numbers>
__device__ __forceinline__ void fill(const GemvArguments& a, const Numbers& numbers, const GemvRooms& rooms, int chunks, int runs)
{
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    const int vectors = vectors_of_warp(chunks);
    const bool normalizes = a.gain != nullptr;
    for (int m = 0; m < (SINGLE ? 1 : a.m); m++)
    {
        float square = 0, total = 0;
        for (int base = 0; base < vectors; base += ActivationBatch::Count)
        {
            ActivationBatch batch, gains;
            if (normalizes)
            {
                PlainNumbers::load(gains, a.gain, base, vectors, a.k);
            }

            numbers.load_inputs(a, batch, m, base, vectors);

#pragma unroll
            for (int i = 0; i < ActivationBatch::Loads; i++)
            {
                if (base + i * 32 >= vectors)
                {
                    break;
                }

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

                if (normalizes)
                {
                    const u32 gain[4] = {gains.values[i].x, gains.values[i].y, gains.values[i].z, gains.values[i].w};
#pragma unroll
                    for (int j = 0; j < 4; j++)
                    {
                        square += values[2 * j] * values[2 * j] + values[2 * j + 1] * values[2 * j + 1];
                        values[2 * j] *= low_of<ACT>(gain[j]);
                        values[2 * j + 1] *= high_of<ACT>(gain[j]);
                    }
                }

                u32 out[4];
#pragma unroll
                for (int j = 0; j < 4; j++)
                {
                    out[j] = pack_pair<ACT>(values[order_of(2 * j)] * InputLift, values[order_of(2 * j + 1)] * InputLift);
                }

                // The sum of what the tensor cores see, rounded as they see it.
                float sum = 0;
                if (NeedsSums || Middle != 0)
                {
#pragma unroll
                    for (int j = 0; j < 4; j++)
                    {
                        sum += (low_of<ACT>(out[j]) + high_of<ACT>(out[j])) * InputLower;
                    }

                    total += sum;
                }

                if (NeedsSums)
                {
                    sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 1); // four lanes hold a run
                    sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 2);
                }

                if (chunk < chunks)
                {
                    *(uint4*)(rooms.xs + m * a.x_pitch + first) = make_uint4(out[0], out[1], out[2], out[3]);
                    if (NeedsSums && (lane & 3) == 0)
                    {
                        rooms.xsums[m * runs + first / 32] = sum;
                    }
                }
            }
        }

        if (normalizes)
        {
            square = sum_of_warp(square);
            if (lane == 0)
            {
                rooms.squares[m * WARPS + warp] = square;
            }
        }

        if (!Grouped && Middle != 0)
        {
            total = sum_of_warp(total);
            if (lane == 0)
            {
                rooms.totals[m * WARPS + warp] = total;
            }
        }
    }

    __syncwarp();
}
