// Activations of products of few rows on their way into shared memory. Options are those of gemv.cu.
#pragma once
#include "gemv_arguments.cuh"
#include "numbers.cuh"

// Where a block keeps what its warps share.
struct GemvRooms
{
    u16* xs;         // [m, x_pitch]
    float* xsums;    // [m, runs]: sums of 32 activations
    float* squares;  // [m, WARPS]: sums of the squares of each warp's activations; or, first of WARPS, the step of rounded ones
    float* totals;   // [m, WARPS]: their sums
    float* ranges;   // [m, 3, WARPS], where activations are rounded: their squares, least and largest
    const u16* zeros;

    __device__ __forceinline__ GemvRooms(u8* memory, int m, int x_pitch, int runs)
    {
        zeros = (const u16*)memory;
        xs = (u16*)(memory + ZeroBytes);
        xsums = (float*)(xs + m * x_pitch);
        squares = xsums + (NeedsSums ? m * runs : 0);
        totals = squares + m * WARPS;
        ranges = totals + m * WARPS;
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

    __device__ __forceinline__ void load(const void* from, int base, int vectors, int k)
    {
#pragma unroll
        for (int i = 0; i < Loads; i++)
        {
            if (base + i * 32 < vectors)
            {
                int chunk;
                const int first = vector_of(base, i, chunk);
                values[i] = first < k ? load_fresh((const uint4*)((const u16*)from + first)) : make_uint4(0, 0, 0, 0);
            }
        }
    }
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

// Eight activations as floats, multiplied by their gains where there are such; their squares are added up before.
__device__ __forceinline__ void widen(const uint4& x, const uint4& gains, bool normalizes, float (&values)[8], float& square)
{
    const u32 pairs[4] = {x.x, x.y, x.z, x.w}, gain[4] = {gains.x, gains.y, gains.z, gains.w};
#pragma unroll
    for (int j = 0; j < 4; j++)
    {
        values[2 * j] = low_of<ACT>(pairs[j]);
        values[2 * j + 1] = high_of<ACT>(pairs[j]);
        if (normalizes)
        {
            square += values[2 * j] * values[2 * j] + values[2 * j + 1] * values[2 * j + 1];
            values[2 * j] *= low_of<ACT>(gain[j]);
            values[2 * j + 1] *= high_of<ACT>(gain[j]);
        }
    }
}

// Eight activations into shared memory, in the order of decoded codes, and their sums. All lanes of a warp.
__device__ __forceinline__ void put_vector(
    const GemvArguments& a, const GemvRooms& rooms, int m, int first, bool exists, int runs, const float (&values)[8], float& total)
{
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

    if (exists)
    {
        *(uint4*)(rooms.xs + m * a.x_pitch + first) = make_uint4(out[0], out[1], out[2], out[3]);
        if (NeedsSums && (threadIdx.x & 3) == 0)
        {
            rooms.xsums[m * runs + first / 32] = sum;
        }
    }
}

// A warp's activations and their gains, as far as registers hold them.
struct ActivationRow
{
    ActivationBatch batch, gains;

    __device__ __forceinline__ void load(const GemvArguments& a, int m, int base, int vectors)
    {
        if (a.gain != nullptr)
        {
            gains.load(a.gain, base, vectors, a.k);
        }

        batch.load((const u16*)a.x + m * a.x_stride, base, vectors, a.k);
    }
};

// Calls with eight activations of each of a warp's vectors, the feature of the first, and whether they exist. The first batch is there.
template <class Body>
__device__ __forceinline__ void each_vector(const GemvArguments& a, ActivationRow& row, int m, int chunks, float& square, Body&& body)
{
    const int vectors = vectors_of_warp(chunks);
    const bool normalizes = a.gain != nullptr;
    for (int base = 0; base < vectors; base += ActivationBatch::Count)
    {
        if (base > 0)
        {
            row.load(a, m, base, vectors);
        }

#pragma unroll
        for (int i = 0; i < ActivationBatch::Loads; i++)
        {
            if (base + i * 32 < vectors)
            {
                int chunk;
                const int first = ActivationBatch::vector_of(base, i, chunk);
                float values[8];
                widen(row.batch.values[i], row.gains.values[i], normalizes, values, square);
                body(values, first, chunk < chunks);
            }
        }
    }
}

#if ROUND

// How a row of activations is rounded to codes of one byte: ActivationScheme. What is multiplied are whole numbers of steps, or float8
// numbers, which 16 bits hold exactly.
struct Rounding
{
    float norm, step, inverse, zero;
#if ROUND == ROUND_ASYMMETRIC
    double exact_inverse; // whose products fall to the same side of a half as the scheme's
#endif

    __device__ __forceinline__ Rounding(const GemvArguments& a, float norm_of_row, float low, float high) : norm(norm_of_row)
    {
        // The norm is not negative: the extremes stay the extremes. Steps are chosen in the type of activations.
        low = rounded<ACT>(low * norm), high = rounded<ACT>(high * norm);
        const float smallest = rounded<ACT>(a.smallest_step);
        zero = 0;
#if ROUND == ROUND_ASYMMETRIC
        step = fmaxf(rounded<ACT>(__fdiv_rn(rounded<ACT>(high - low), 255.0f)), smallest);
        zero = rounded<ACT>(-128.0f - rounded<ACT>(rintf(rounded<ACT>(__fdiv_rn(low, step)))));
        zero = fminf(fmaxf(zero, -128.0f), 127.0f);
#else
        step = fmaxf(rounded<ACT>(__fdiv_rn(fmaxf(-low, high), ROUND == ROUND_E4M3 ? 448.0f : 127.0f)), smallest);
#endif
        inverse = __fdiv_rn(1.0f, step);
#if ROUND == ROUND_SYMMETRIC
        inverse = rounded<ACT>(inverse);
#elif ROUND == ROUND_ASYMMETRIC
        exact_inverse = 1 / (double)step;
#endif
    }

    __device__ __forceinline__ float apply(float value) const
    {
        value = rounded<ACT>(value * norm);
#if ROUND == ROUND_E4M3
        return decode_e4m3(encode_float8<3>(__fmul_rn(value, inverse)));
#elif ROUND == ROUND_ASYMMETRIC
        const float steps = (float)rint((double)value * exact_inverse);
        return fminf(fmaxf(steps + zero, -128.0f), 127.0f) - zero;
#else
        float steps = __fmul_rn(value, inverse);
#if ROUND == ROUND_SYMMETRIC
        steps = rounded<ACT>(steps);
#endif
        return fminf(fmaxf(rintf(steps), -127.0f), 127.0f);
#endif
    }
};

// Looks at a row's range, all warps at their own parts. All threads that compute.
__device__ __forceinline__ Rounding measure(const GemvArguments& a, ActivationRow& row, const GemvRooms& rooms, int m, int chunks)
{
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    float square = 0, low = 0, high = 0;
    each_vector(a, row, m, chunks, square, [&](float(&values)[8], int, bool) {
#pragma unroll
        for (int j = 0; j < 8; j++)
        {
            low = fminf(low, values[j]);
            high = fmaxf(high, values[j]);
            square += values[j] - values[j]; // what is no finite number must not be lost: it makes the step none
        }
    });
    square = sum_of_warp(square), low = least_of_warp(low), high = -least_of_warp(-high);
    float* const of_warps = rooms.ranges + m * 3 * WARPS;
    if (lane == 0)
    {
        of_warps[warp] = square, of_warps[WARPS + warp] = low, of_warps[2 * WARPS + warp] = high;
    }

    sync_threads<WARPS * 32>();
    square = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++)
    {
        square += of_warps[w];
        low = fminf(low, of_warps[WARPS + w]);
        high = fmaxf(high, of_warps[2 * WARPS + w]);
    }

    Rounding rounding(a, a.gain == nullptr ? 1 : rsqrtf(square / a.k + a.epsilon), low, high);
    rounding.step += square - square;
    return rounding;
}

#endif

// Activations into shared memory, each warp those that it multiplies itself: multiplied by the gain, rounded where the layer asks for
// that, zeros behind K; their sums; and what results are multiplied by: the squares of a norm, or the step of rounded activations.
__device__ __forceinline__ void fill(const GemvArguments& a, const GemvRooms& rooms, int chunks, int runs)
{
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    for (int m = 0; m < (SINGLE ? 1 : a.m); m++)
    {
        float total = 0;
        ActivationRow row;
        row.load(a, m, 0, vectors_of_warp(chunks));
#if ROUND
        const Rounding rounding = measure(a, row, rooms, m, chunks);
        if (vectors_of_warp(chunks) > ActivationBatch::Count)
        {
            row.load(a, m, 0, vectors_of_warp(chunks));
        }

        float unused = 0;
        each_vector(a, row, m, chunks, unused, [&](float(&values)[8], int first, bool exists) {
#pragma unroll
            for (int j = 0; j < 8; j++)
            {
                values[j] = rounding.apply(values[j]);
            }

            put_vector(a, rooms, m, first, exists, runs, values, total);
        });
        if (threadIdx.x == 0)
        {
            rooms.squares[m * WARPS] = rounding.step;
        }
#else
        float square = 0;
        each_vector(a, row, m, chunks, square, [&](float(&values)[8], int first, bool exists) {
            put_vector(a, rooms, m, first, exists, runs, values, total);
        });
        if (a.gain != nullptr)
        {
            square = sum_of_warp(square);
            if (lane == 0)
            {
                rooms.squares[m * WARPS + warp] = square;
            }
        }
#endif

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

// What a row of sums is multiplied by: one over the root mean square of the activations, or the step to which they were rounded.
__device__ __forceinline__ float norm_of(const GemvArguments& a, const GemvRooms& rooms, int m)
{
#if ROUND
    return rooms.squares[m * WARPS];
#else
    if (a.gain == nullptr)
    {
        return 1;
    }

    float square = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++)
    {
        square += rooms.squares[m * WARPS + w];
    }

    return rsqrtf(square / a.k + a.epsilon);
#endif
}
